// The door of destination/.

export { CAPABILITIES, formatCapabilities } from "./capabilities.ts";
export {
  checkContent,
  checkPresence,
  CHECKS_AT_ONCE,
  type ContentHash,
  type Damage,
  describeDamage,
  type ExpectedObject,
  findDamage,
  findDamages,
  listByKey,
  type ObjectCheck,
  openContentHash,
  type Proof,
  type RecordedFile,
} from "./check.ts";
export {
  isRunManifestKey,
  listRunManifests,
  MANIFEST_BYTES_MAX,
  MARKER_BYTES_MAX,
  putManifest,
  putRunManifest,
  readManifest,
  readOwnManifest,
  readSmall,
  readSoundManifest,
} from "./control.ts";
export type { Capabilities, CommitProtocol, Destination, Digests, PutOptions, StoredObject } from "./destination.ts";
export { type DestinationNeeds, destinationNeeds } from "./needs.ts";
export { toRunTag } from "./local.ts";
export { checkWritable, loadDestination, openDestination, withCredentials } from "./open.ts";
export { keepFolders, placeToProbe, PROBE_PREFIX, probeDestination } from "./probe.ts";
export type { OpenOptions } from "./options.ts";
export { removeAll } from "./removal.ts";
export {
  type AzureLocation,
  describeDestination,
  destinationHosts,
  type DestinationInput,
  destinationPaths,
  type GcsLocation,
  type PlaceholderValues,
  type ResolvedDestination,
  resolveDestination,
  type S3Location,
  writtenDestination,
} from "./resolved.ts";
