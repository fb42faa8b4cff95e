// What every destination must offer, and what each promises about its writes, as data.

/** When a write becomes durable and visible. */
export type CommitProtocol = "atomic" | "finalize_on_close" | "streaming";

export interface Capabilities {
  readonly commitProtocol: CommitProtocol;
  readonly idempotentOverwrite: boolean;
  readonly retrySafe: boolean;
  readonly partialWriteRisk: boolean;
}

/** Digests a store vouches for, each over the whole object. Absent = the store cannot tell. */
export interface Digests {
  /** Base64. */
  readonly md5?: string;
  /** Decimal text of the 32-bit value. */
  readonly crc32c?: string;
  /** Base64 of the 64-bit value, big endian. */
  readonly crc64nvme?: string;
  /** The store's own tag for this very object. An equal tag proves equal content, a different one proves nothing. */
  readonly etag?: string;
}

export interface StoredObject {
  /** Relative to the destination's prefix, `/`-separated. */
  readonly key: string;
  readonly size: number;
  readonly digests: Digests;
}

export interface PutOptions {
  readonly contentType: string;
  readonly signal: AbortSignal;
  /** Known before the first byte only for small control files. */
  readonly size?: number;
  /**
   * What the producer computed over the same bytes, asked for once the body has ended. The store is made to compare it before
   * the object becomes visible. Without it the destination computes its own.
   */
  readonly expected?: () => { readonly md5: string; readonly crc32c: string };
  /** The run that writes a key which every run writes: `sweep` tells by it whose temporary file was left. */
  readonly runId?: string;
  /** Called with a chunk of the body once its bytes are not needed any more, so that its owner can free them at once. A destination may leave it. */
  readonly release?: (chunk: Uint8Array) => void;
}

export interface Destination extends AsyncDisposable {
  readonly capabilities: Capabilities;
  /** Where keys live, for people and the manifest: `file:///data/orders`, `s3://bucket/prefix/`. Never holds a secret. */
  readonly uri: string;
  /** Durable when it resolves, invisible when it rejects. Overwrites an object of the same key. */
  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject>;
  /** Null when there is no such object. */
  get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream<Uint8Array> | null>;
  /** One object with every digest the store vouches for, which may be more than `list` tells. Null when there is none. */
  stat(key: string): Promise<StoredObject | null>;
  /** Every object whose key starts with `prefix`, in the order of the keys' UTF-8 bytes. Temporary and quarantined objects are not listed. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Removing what is not there is not an error. */
  remove(key: string): Promise<void>;
  /** Moves an object aside, to `_quarantine/<runId>/<key>`; never deletes. */
  quarantine(key: string, runId: string): Promise<void>;
  /**
   * Clears what a killed process left: temporary files, open multipart uploads. Touches only keys that `owns` names, and what was
   * put with a `runId` that `isOwnRun` knows by its `toRunTag`.
   */
  sweep(owns: (key: string) => boolean, isOwnRun?: (tag: string) => boolean): Promise<number>;
}
