// A queue of byte chunks between the encoder and an upload: synchronous to fill, asynchronous to empty, counted in bytes.

export class ByteQueue implements AsyncIterable<Uint8Array> {
  bytes = 0;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { error: unknown } | null = null;
  #wakeReader: (() => void) | null = null;
  #wakeWriters: (() => void)[] = [];

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
    this.#wakeReader?.();
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
  }

  /** Ends the queue for both sides; the reader throws `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeReader?.();
    this.#wake();
  }

  /** Resolves when no more than `bytesMax` wait, or when the queue has failed. */
  async drained(bytesMax: number): Promise<void> {
    while (this.bytes > bytesMax && this.#failure === null) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failure !== null) throw this.#failure.error;
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.bytes -= chunk.length;
          this.#wake();
          yield chunk;
        } else if (this.#ended) return;
        else {
          await new Promise<void>((resolve) => this.#wakeReader = resolve);
          this.#wakeReader = null;
        }
      }
    } finally {
      // A reader that stopped early frees the writer too.
      this.#failure ??= this.#ended ? null : { error: new Error("The upload stopped reading") };
      this.#wake();
    }
  }

  #wake(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) wake();
  }
}
