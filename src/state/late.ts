// A state that is opened when something is first asked of it: a command that is refused before leaves no file behind.

import { dirname } from "node:path";
import { access, constants } from "node:fs/promises";
import { openState, type OpenStateOptions, parsePlace, type Place } from "./open.ts";
import { notWritable } from "./sqlite_error.ts";
import type { State } from "./state.ts";

export interface LateState extends AsyncDisposable {
  /** The state itself; its first call opens it. */
  readonly state: State;
  /** Whether there is one, opened or not. A server counts as one: nothing is made there that was not provided for. */
  exists(): Promise<boolean>;
}

/** Opens at once what exists; what does not exist is only looked at, and made by the first call of one of its methods. */
export async function openStateLater(options: OpenStateOptions): Promise<LateState> {
  const place = parsePlace(options.url, options.directory);
  let opened: Promise<State> | null = null;
  const open = () => opened ??= openState(options);
  if (await isThere(place)) await open();
  else await checkFolder(place);
  return {
    state: toState(open, place),
    exists: async () => opened !== null || await isThere(place),
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => null))?.[Symbol.asyncDispose]();
    },
  };
}

async function isThere(place: Place): Promise<boolean> {
  if (place.kind === "postgres" || place.path === ":memory:") return true;
  return await Deno.stat(place.path).then(() => true, () => false);
}

/** A folder that could not hold the file is refused now, not after the source was asked. */
async function checkFolder(place: Place): Promise<void> {
  if (place.kind === "postgres") return;
  await access(dirname(place.path), constants.W_OK | constants.X_OK).catch((error) => {
    // Where the program itself may not look, opening will tell.
    if (error instanceof Deno.errors.NotCapable) return;
    const isMissing = (error as { code?: string }).code === "ENOENT";
    throw notWritable(place.path, error, isMissing ? "stands in a folder that does not exist" : "cannot be made");
  });
}

/** Every method of a state waits for it to be open. */
function toState(open: () => Promise<State>, place: Place): State {
  const location = place.kind === "postgres" ? place.url.host : place.path;
  return new Proxy({ location } as State, {
    get(target, name) {
      if (name === "location") return target.location;
      // A promise's own method: a state is none.
      if (name === "then") return undefined;
      return async (...given: unknown[]) => {
        const state = await open();
        const method = Reflect.get(state, name) as (...given: unknown[]) => unknown;
        return await method.apply(state, given);
      };
    },
  });
}
