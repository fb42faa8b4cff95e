// The door of destination/.

export type { Capabilities, CommitProtocol, Destination, Digests, PutOptions, StoredObject } from "./destination.ts";
