// The typed façade over the WASM core, and the only place that imports it.
// Rows go in as the server sent them, file bytes come out; no value is ever a JavaScript value here.

export type {
  ColumnSpec,
  Core,
  CsvSpec,
  EdgeSpec,
  Encoder,
  EncoderSpec,
  FileContent,
  FileReader,
  Framing,
  NothingSpec,
  ObservedColumn,
  ParquetSpec,
  PartObservations,
  SliceObservations,
} from "./spec.ts";
export { compileCore, coreFiles, openCore } from "./open.ts";
