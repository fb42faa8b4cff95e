// A server that refuses a login says why and closes at once. The driver takes the end for more urgent than the words before it,
// so until the login is settled the end of a stream is held back, just long enough for them to be heard.

import type { Socket } from "node:net";

/** How long the last words of a server may take from the driver's buffers to its event. */
const LAST_WORDS_MS = 50;

export class HeldEnds {
  #isSettled = false;
  readonly #waiting = new Map<ReturnType<typeof setTimeout>, () => void>();

  /** The same socket, whose `end` is late until `settle`. */
  hold<S extends Socket>(socket: S): S {
    const emit = socket.emit.bind(socket) as (event: string, ...args: unknown[]) => boolean;
    socket.emit = ((event: string, ...args: unknown[]) => {
      if (event !== "end" || this.#isSettled) return emit(event, ...args);
      const timer = setTimeout(() => {
        this.#waiting.delete(timer);
        emit(event, ...args);
      }, LAST_WORDS_MS);
      this.#waiting.set(timer, () => emit(event, ...args));
      return true;
    }) as typeof socket.emit;
    return socket;
  }

  /** Ends are heard at once from now on, those still held back first. */
  settle(): void {
    this.#isSettled = true;
    for (const [timer, emit] of this.#waiting) {
      clearTimeout(timer);
      emit();
    }
    this.#waiting.clear();
  }
}
