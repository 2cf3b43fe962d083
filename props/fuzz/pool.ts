/**
 * Spreads jobs over workers: a worker that is done takes the next one.
 * @module
 */
import type { Answer, Job } from "./worker.ts";

/** Does all jobs; `told` hears of each as it is done. An error in a worker ends the run. */
export const spread = (
  jobs: Iterable<Job>,
  workers: number,
  told: (job: Job, answer: Answer) => void,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const queue = jobs[Symbol.iterator]();
    let busy = workers;
    const one = (): void => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      let job: Job;
      const next = (): void => {
        const { value, done } = queue.next();
        if (done === true) {
          worker.terminate();
          if (--busy === 0) resolve();
          return;
        }
        worker.postMessage(job = value);
      };
      worker.onmessage = ({ data }: MessageEvent<Answer>): void => {
        told(job, data);
        next();
      };
      worker.onerror = (event): void => {
        event.preventDefault();
        reject(new Error(`${JSON.stringify(job)}: ${event.message}`));
      };
      next();
    };
    for (let i = 0; i < workers; i++) one();
  });
