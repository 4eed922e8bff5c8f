// Copying in bulk: databases, CSV, JSON and SQL dumps as sources and destinations.
export { copyData } from './copy-data.js';
export { type DbLoaderConfig, loadFromCsv, loadFromDb, loadFromJson, loadFromSql, type LoadedRow, type LoadedRows } from './loaded-rows.js';
export { type DbWriterConfig, writeToCsv, writeToDb, writeToJson, writeToSql, type WriteStats } from './row-writers.js';
export type {
  CopyConnection,
  CopyDestinationFailure,
  CopyEnd,
  CopyFile,
  CopyFileFormat,
  CopyOptions,
  CopyProgress,
  CopyRequest,
  CopyResult,
  CopyStats,
  CopyTypedEnd,
  DestConfig,
  DestType,
  ExistingRows,
  SourceConfig,
  SourceType,
} from './types.js';
