/**
 * Errors of compiling and running: what was asked, and why it cannot be done.
 * @module
 */

/** A term that no kernel can make. */
export class CompileError extends Error {
  /** Name of the class. */
  override readonly name = "CompileError";

  /** The stage that refused, and why. */
  constructor(readonly stage: string, reason: string) {
    super(`${stage}: ${reason}`);
  }
}

/** A device that is missing, lost, out of memory, or that refused a kernel. */
export class DeviceError extends Error {
  /** Name of the class. */
  override readonly name = "DeviceError";

  /** The device, and what went wrong. */
  constructor(readonly device: string, reason: string) {
    super(`${device}: ${reason}`);
  }
}

/** What compiling says by a value: its own errors, and terms that are nested deeper than a runtime's stack. */
export const compileErrorOf = (error: unknown): CompileError | DeviceError | undefined => {
  if (error instanceof CompileError || error instanceof DeviceError) return error;
  const ended = error instanceof RangeError && /call stack/i.test(error.message);
  return ended
    ? new CompileError("terms", `are nested deeper than the stack goes: ${error.message}`)
    : undefined;
};

/** An input that does not fit its program. */
export class InputError extends TypeError {
  /** Name of the class. */
  override readonly name = "InputError";

  /** The input, and the two things that disagree. */
  constructor(readonly input: string, reason: string) {
    super(`input "${input}": ${reason}`);
  }
}

/** A file of a cold tier that cannot be made, or is not what was put into it. */
export class TierError extends Error {
  /** Name of the class. */
  override readonly name = "TierError";

  /** The file, what disagrees, and in which block. */
  constructor(readonly file: string, readonly reason: string, readonly block?: number) {
    super(`tier "${file}"${block === undefined ? "" : `, block ${block}`}: ${reason}`);
  }
}
