// A channel dressed as a socket of Node's, for npm:pg and node:tls to speak over. For the rows of a slice the channel below it is lent out, so that their bytes
// go from the socket into the core's memory and never become a JavaScript value.

import { Duplex } from "node:stream";
import { invariant } from "../../errors.ts";
import type { Channel } from "./channel.ts";

const READ_BYTES = 64 * 1024;

/** An open channel as the socket npm:pg and node:tls expect. */
export class ChannelSocket extends Duplex {
  readonly #channel: Channel;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** The read that waits into the buffer; what it brings goes to whoever holds the channel then. */
  #pending: Promise<number | null> | null = null;
  /** What that read brought and the borrower has not taken yet. */
  #rest = new Uint8Array(0);
  #pumping = false;
  #lent = false;
  /** The server closed the connection, or it broke. */
  broken: unknown = null;

  constructor(channel: Channel) {
    super({ autoDestroy: false });
    this.#channel = channel;
  }

  // npm:pg dials the socket it is given; this one is connected already.
  connect(): this {
    queueMicrotask(() => this.emit("connect"));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    if (!this.#lent && !this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      while (!this.#lent) {
        const count = await (this.#pending ??= this.#channel.read(this.#buffer));
        // Lent out meanwhile: what arrived belongs to the borrower, who finds it in `#pending`.
        if (this.#lent) return;
        this.#pending = null;
        if (count === null) throw new Error("the server closed the connection");
        this.push(this.#buffer.slice(0, count));
      }
    } catch (error) {
      this.broken ??= error;
      this.destroy();
    } finally {
      this.#pumping = false;
    }
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#channel.write(chunk).then(() => done(), (error) => {
      this.broken ??= error;
      done(error);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.close();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.close();
    done(error);
  }

  /** Lends the channel out. npm:pg must be idle: what arrives from now on is not its own. */
  lend(): Channel {
    invariant(!this.#lent, "the connection is lent out twice");
    this.#lent = true;
    return {
      read: (into) => this.#readLent(into),
      write: (bytes) => this.#channel.write(bytes),
      close: () => this.destroy(),
    };
  }

  async #readLent(into: Uint8Array): Promise<number | null> {
    if (this.#pending !== null) {
      const count = await this.#pending;
      this.#pending = null;
      if (count === null) return null;
      this.#rest = this.#buffer.subarray(0, count);
    }
    if (this.#rest.length === 0) return await this.#channel.read(into);
    const taken = this.#rest.subarray(0, into.length);
    into.set(taken);
    this.#rest = this.#rest.subarray(taken.length);
    return taken.length;
  }

  /** Takes the channel back; everything it was lent for has been read to its end. */
  takeBack(): void {
    this.#lent = false;
    if (!this.destroyed) this._read();
  }
}
