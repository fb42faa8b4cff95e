// The door of scaffold/.

export type { DiscoveredTable, Discovery } from "./discovery.ts";
export type { DestinationGiven, ScaffoldRequest, SourceGiven } from "./request.ts";
export { buildScaffold, type Scaffold } from "./scaffold.ts";
