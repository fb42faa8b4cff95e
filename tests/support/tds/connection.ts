// One client connection of the fake: prelogin, TLS inside TDS, login, batches and attentions, in the order the protocol has them.

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import {
  bitmapRowToken,
  columnsToken,
  rowToken,
  toWireType,
  type WireColumn,
  type WireType,
  type WireValue,
} from "./types.ts";
import {
  DONE,
  doneToken,
  ENV,
  HEADER_BYTES,
  loginToken,
  MessageReader,
  messageToken,
  PACKET,
  packet,
  packetSizeToken,
  routingToken,
  transactionToken,
  u8,
} from "./wire.ts";

/** What a statement answers, one step after the other. */
export type Step =
  | { readonly kind: "columns"; readonly columns: readonly WireColumn[] }
  | { readonly kind: "row"; readonly values: readonly WireValue[] }
  /** Tokens as they are. */
  | { readonly kind: "tokens"; readonly bytes: Uint8Array; readonly rows: number }
  /** The server's own message; `severity` 10 and below is information, 20 and above is followed by the end of the connection. */
  | { readonly kind: "message"; readonly number: number; readonly message: string; readonly severity?: number }
  | { readonly kind: "transaction"; readonly change: "BEGIN" | "COMMIT" | "ROLLBACK" }
  | { readonly kind: "wait"; readonly until: Promise<unknown> }
  /** The connection breaks. */
  | { readonly kind: "cut" };

export type Answer = Iterable<Step> | AsyncIterable<Step>;

export interface FakeSession {
  readonly spid: number;
  readonly user: string;
  readonly database: string;
  /** Aborted when the client sends an attention for the running statement, or goes away. */
  signal: AbortSignal;
  /** The handler's own. */
  readonly notes: Map<string, unknown>;
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly application: string;
  readonly host: string;
  /** Whether the login came inside TLS. */
  readonly encrypted: boolean;
}

export interface FakeOptions {
  answer: (sql: string, session: FakeSession) => Answer;
  /** Null lets the login pass; a message refuses it, a route sends it elsewhere. */
  login?: (login: Login) => { number: number; message: string } | { host: string; port: number } | null;
  /** @default "off" */
  encryption?: "off" | "offered" | "required" | "strict";
  key?: string;
  cert?: string;
  /** @default what the client asks for */
  packetBytes?: number;
  /** NULLs of every row in a bitmap. @default false */
  bitmapRows?: boolean;
  /** Attentions are never answered. @default false */
  deaf?: boolean;
}

export interface FakeCounters {
  logins: Login[];
  statements: string[];
  attentions: number;
  rowsSent: number;
  open: number;
}

/** TLS records inside TDS prelogin packets until the handshake is over, bare afterwards. */
class WrappedTls extends Duplex {
  isHandshaking = true;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const out = this.isHandshaking ? packet(PACKET.PRELOGIN, bytes, true) : bytes;
    this.#socket.write(out, (error) => done(error ?? null));
  }
}

/** ENCRYPTION option of the prelogin message. */
const ENCRYPTION = { off: 2, offered: 1, required: 3, strict: 2 } as const;

export function serveClient(raw: Socket, options: FakeOptions, counters: FakeCounters, spid: number): void {
  const encryption = options.encryption ?? "off";
  const messages = new MessageReader();
  let stream: Duplex = raw;
  let wrapped: WrappedTls | null = null;
  let session: FakeSession | null = null;
  let packetBytes = 4096;
  let running: AbortController | null = null;
  let queue = Promise.resolve();
  counters.open++;
  raw.on("close", () => {
    counters.open--;
    running?.abort();
  });
  raw.on("error", () => {});

  const send = (body: Uint8Array): boolean => {
    const room = packetBytes - HEADER_BYTES;
    let ok = true;
    for (let at = 0; at < body.length || at === 0; at += room) {
      ok = stream.write(packet(PACKET.RESPONSE, body.subarray(at, at + room), at + room >= body.length));
    }
    return ok;
  };

  const onMessage = (type: number, body: Buffer) => {
    switch (type) {
      case PACKET.PRELOGIN:
        send(preloginAnswer(ENCRYPTION[encryption]));
        if (encryption === "offered" || encryption === "required") startWrapped();
        return;
      case PACKET.LOGIN7:
        return onLogin(body);
      case PACKET.ATTENTION:
        counters.attentions++;
        if (options.deaf) return;
        running?.abort();
        queue = queue.then(() => void send(doneToken(DONE.ATTENTION)));
        return;
      case PACKET.BATCH: {
        const sql = body.subarray(body.readUInt32LE(0)).toString("utf16le");
        counters.statements.push(sql);
        queue = queue.then(() => onBatch(sql)).catch((error) => {
          console.error("fake:", error);
          raw.destroy();
        });
        return;
      }
      default:
        raw.destroy();
    }
  };

  const startWrapped = () => {
    wrapped = new WrappedTls(raw);
    const secure = new tls.TLSSocket(wrapped as unknown as Socket, {
      isServer: true,
      secureContext: tls.createSecureContext({ key: options.key!, cert: options.cert!, maxVersion: "TLSv1.2" }),
    });
    secure.on("error", () => raw.destroy());
    secure.on("data", onPlain);
    stream = secure;
  };

  const onLogin = (body: Buffer) => {
    const login = readLogin(body, stream !== raw || encryption === "strict");
    counters.logins.push(login);
    const verdict = options.login?.(login) ?? null;
    if (verdict === null) {
      const asked = body.readUInt32LE(8);
      const size = options.packetBytes ?? asked;
      session = {
        spid,
        user: login.user,
        database: login.database,
        signal: new AbortController().signal,
        notes: new Map(),
      };
      send(Buffer.concat([packetSizeToken(size), loginToken(), doneToken(DONE.FINAL)]));
      packetBytes = size;
    } else if ("host" in verdict) {
      send(Buffer.concat([routingToken(verdict.host, verdict.port), loginToken(), doneToken(DONE.FINAL)]));
    } else {
      send(Buffer.concat([messageToken(verdict.number, verdict.message, 14), doneToken(DONE.ERROR)]));
      stream.end();
    }
  };

  const onBatch = async (sql: string) => {
    running = new AbortController();
    session!.signal = running.signal;
    const response = new Response((body, isLast) => stream.write(packet(PACKET.RESPONSE, body, isLast)), packetBytes);
    const isCut = await answerInto(response, options.answer(sql, session!), options, counters, running.signal, stream);
    running = null;
    if (isCut) raw.destroy();
  };

  const onPlain = (bytes: Buffer) => {
    for (const { type, body } of messages.feed(bytes)) {
      if (wrapped !== null && wrapped.isHandshaking && type === PACKET.PRELOGIN) wrapped.push(body);
      else onMessage(type, body);
    }
  };
  raw.on("data", (bytes: Buffer) => {
    // A TLS record of application data ends the handshake that was wrapped into prelogin packets.
    if (wrapped !== null && (!wrapped.isHandshaking || bytes[0] === 0x17)) {
      wrapped.isHandshaking = false;
      wrapped.push(bytes);
    } else {
      onPlain(bytes);
    }
  });
}

/** Cuts a growing response into packets. */
class Response {
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #room: number;
  readonly #write: (body: Buffer, isLast: boolean) => boolean;

  constructor(write: (body: Buffer, isLast: boolean) => boolean, packetBytes: number) {
    this.#write = write;
    this.#room = packetBytes - HEADER_BYTES;
  }

  /** False when the client does not read as fast. */
  put(bytes: Uint8Array): boolean {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#bytes += bytes.length;
    if (this.#bytes < 4 * this.#room) return true;
    return this.flush(false);
  }

  flush(isLast: boolean): boolean {
    const body = Buffer.concat(this.#parts);
    const whole = isLast ? 0 : body.length % this.#room;
    let ok = true;
    let at = 0;
    for (; body.length - at > this.#room; at += this.#room) ok = this.#write(body.subarray(at, at + this.#room), false);
    const rest = body.subarray(at);
    if (isLast || (whole === 0 && rest.length > 0)) {
      ok = this.#write(rest, isLast);
      this.#parts = [];
      this.#bytes = 0;
    } else {
      this.#parts = [rest];
      this.#bytes = rest.length;
    }
    return ok;
  }
}

/** True when the connection is to break. */
async function answerInto(
  response: Response,
  answer: Answer,
  options: FakeOptions,
  counters: FakeCounters,
  signal: AbortSignal,
  stream: Duplex,
): Promise<boolean> {
  let types: WireType[] = [];
  let rows = 0;
  let hasRows = false;
  let isError = false;
  let isFatal = false;
  let steps = 0;
  for await (const step of answer) {
    if (signal.aborted) break;
    let ok = true;
    switch (step.kind) {
      case "columns": {
        if (hasRows) response.put(doneToken(DONE.MORE | DONE.COUNT, rows));
        rows = 0;
        hasRows = true;
        const columns = step.columns.map(({ name, type }) => ({ name, wire: toWireType(type) }));
        types = columns.map(({ wire }) => wire);
        ok = response.put(columnsToken(columns));
        break;
      }
      case "row":
        rows++;
        counters.rowsSent++;
        ok = response.put((options.bitmapRows ? bitmapRowToken : rowToken)(types, step.values));
        break;
      case "tokens":
        rows += step.rows;
        hasRows = true;
        counters.rowsSent += step.rows;
        ok = response.put(step.bytes);
        break;
      case "message":
        isError ||= (step.severity ?? 16) > 10;
        isFatal ||= (step.severity ?? 16) >= 20;
        ok = response.put(messageToken(step.number, step.message, step.severity));
        break;
      case "transaction":
        ok = response.put(transactionToken(ENV[step.change], 77n));
        break;
      case "wait":
        response.flush(false);
        await Promise.race([step.until, untilAborted(signal)]);
        break;
      case "cut":
        response.flush(false);
        return true;
    }
    if (!ok && !signal.aborted) {
      await Promise.race([new Promise((go) => stream.once("drain", go)), untilAborted(signal)]);
    } // An attention can only be heard between turns of the event loop.
    else if (++steps % 512 === 0) await new Promise((go) => setTimeout(go, 0));
  }
  if (stream.destroyed) return false;
  const status = signal.aborted || isError ? DONE.ERROR : DONE.FINAL;
  response.put(doneToken(status | (hasRows ? DONE.COUNT : 0), rows));
  response.flush(true);
  return isFatal;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** VERSION, ENCRYPTION, INSTOPT, THREADID, MARS, and the end. */
function preloginAnswer(encryption: number): Buffer {
  const options: [number, Buffer][] = [
    [0, u8(16, 0, 0x10, 0, 0, 0)],
    [1, u8(encryption)],
    [2, u8(0)],
    [3, u8()],
    [4, u8(0)],
  ];
  let at = options.length * 5 + 1;
  const heads: Buffer[] = [];
  for (const [token, data] of options) {
    heads.push(u8(token, at >> 8, at & 255, data.length >> 8, data.length & 255));
    at += data.length;
  }
  return Buffer.concat([...heads, u8(0xff), ...options.map(([, data]) => data)]);
}

function readLogin(body: Buffer, encrypted: boolean): Login {
  const field = (offset: number) => {
    const at = body.readUInt16LE(offset);
    return body.subarray(at, at + 2 * body.readUInt16LE(offset + 2));
  };
  // A password is stored with swapped nibbles and XOR 0xA5.
  const clear = Buffer.from(
    field(44).map((byte) => {
      const plain = byte ^ 0xa5;
      return ((plain & 0x0f) << 4) | (plain >> 4);
    }),
  );
  return {
    host: field(36).toString("utf16le"),
    user: field(40).toString("utf16le"),
    password: clear.toString("utf16le"),
    application: field(48).toString("utf16le"),
    database: field(68).toString("utf16le"),
    encrypted,
  };
}
