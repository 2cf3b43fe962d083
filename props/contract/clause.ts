/**
 * A contract: kinds of things, each with the laws that hold for it. Every thing that is listed meets
 * every law that applies to it in a test of its own.
 * @module
 */
import type { Device } from "../../mod.ts";
import { DEVICES } from "../devices.ts";

/** One law on one thing: a test. */
export interface Clause {
  readonly name: string;
  readonly kind: string;
  /** What the law says, as `docs/laws.md` lists it. */
  readonly says: string;
  readonly thing: string;
  readonly holds: () => Promise<void>;
}

/** A law of things of a kind; it throws where it is broken. */
export interface Law<T> {
  readonly says: string;
  /** Which things it speaks of; all of them if not given. */
  readonly applies?: (thing: T, name: string) => boolean;
  readonly holds: (thing: T, name: string) => void | Promise<void>;
}

/** A law of things of a kind on a device. */
export interface DeviceLaw<T> {
  readonly says: string;
  readonly applies?: (thing: T, name: string) => boolean;
  /** The devices it speaks of; all of them if not given. */
  readonly devices?: readonly Device["name"][];
  readonly holdsOn: (device: Device, thing: T, name: string) => void | Promise<void>;
}

/** Every device that is listed. */
export const DEVICE_NAMES = Object.keys(DEVICES) as readonly Device["name"][];

/** The devices that run kernels. */
export const KERNEL_DEVICES: readonly Device["name"][] = DEVICE_NAMES.filter((d) => d !== "eval");

/** A kind of things with its laws. */
export interface Kind<T> {
  readonly kind: string;
  readonly things: Readonly<Record<string, T>>;
  readonly laws?: readonly Law<T>[];
  readonly deviceLaws?: readonly DeviceLaw<T>[];
}

/** Every law on every thing of a kind. */
export const clauses = <T>(
  { kind, things, laws = [], deviceLaws = [] }: Kind<T>,
): readonly Clause[] =>
  Object.entries(things).flatMap(([name, thing]) => [
    ...laws.filter(({ applies }) => applies?.(thing, name) ?? true).map(({ says, holds }) => ({
      name: `${kind} ${name}: ${says}`,
      kind,
      says,
      thing: name,
      holds: async () => await holds(thing, name),
    })),
    ...deviceLaws.filter(({ applies }) => applies?.(thing, name) ?? true).flatMap(
      ({ says, devices = DEVICE_NAMES, holdsOn }) =>
        devices.map((device) => ({
          name: `${device}: ${kind} ${name}: ${says}`,
          kind,
          says,
          thing: name,
          holds: () => DEVICES[device](async (opened) => await holdsOn(opened, thing, name)),
        })),
    ),
  ]);
