// The stream that mysql2 is given: it lets the driver log in and ask small questions, and lends the bare channel out for the rows.

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { Channel } from "./channel.ts";

const READ_BYTES = 16_384;

export interface DriverStream {
  readonly duplex: Duplex;
  /** Puts TLS under the driver's feet, in the middle of its handshake. */
  secure(): Promise<void>;
  /** Takes the connection away from the driver, which must be idle. */
  borrow(): Channel;
  /** Gives it back; the driver's next answer is the next thing to be read. */
  giveBack(): void;
  /** Resolves when all that was written is on its way. */
  flushed(): Promise<void>;
  /** Closes the connection; resolves when nothing is in flight any more. */
  close(): Promise<void>;
}

export function openDriverStream(first: Channel): DriverStream {
  let channel = first;
  let mode: "driver" | "upgrading" | "borrowed" = "driver";
  /** The driver asked for bytes and did not get them yet. */
  let wanted = false;
  /** A read begun for the driver. While the rows flow its bytes belong to the borrower. */
  let pending: Promise<Uint8Array | null> | null = null;
  let writes: Promise<void> = Promise.resolve();
  let closed = false;

  async function readBlock(): Promise<Uint8Array | null> {
    const block = new Uint8Array(READ_BYTES);
    const length = await channel.read(block);
    return length === null ? null : block.subarray(0, length);
  }

  function pump(): void {
    if (mode !== "driver" || pending !== null || closed) return;
    const read = pending = readBlock();
    read.then(
      (block) => {
        if (mode !== "driver") return;
        pending = null;
        wanted = false;
        duplex.push(block === null ? null : Buffer.from(block.buffer, 0, block.length));
      },
      (error) => {
        if (!closed && mode === "driver") duplex.destroy(error);
      },
    );
  }

  const duplex = new Duplex({
    allowHalfOpen: false,
    read() {
      wanted = true;
      pump();
    },
    write(chunk: Uint8Array, _encoding, done) {
      writes = writes.then(() => channel.write(chunk));
      writes.then(() => done(), (error) => done(closed ? null : error));
    },
    destroy(error, done) {
      closed = true;
      channel.close();
      done(error);
    },
  });

  return {
    duplex,
    async secure() {
      mode = "upgrading";
      await writes;
      channel = await channel.startTls();
      mode = "driver";
      if (wanted) pump();
    },
    borrow() {
      mode = "borrowed";
      let early = pending;
      let rest: Uint8Array | null = null;
      return {
        ...channel,
        async read(view) {
          if (early !== null) {
            const block = await early;
            early = pending = null;
            if (block === null) return null;
            rest = block;
          }
          if (rest === null) return await channel.read(view);
          const taken = rest.subarray(0, view.length);
          view.set(taken);
          rest = taken.length < rest.length ? rest.subarray(taken.length) : null;
          return taken.length;
        },
      };
    },
    giveBack() {
      mode = "driver";
      if (wanted) pump();
    },
    flushed: () => writes,
    async close() {
      closed = true;
      channel.close();
      duplex.destroy();
      await Promise.allSettled([pending, writes]);
    },
  };
}
