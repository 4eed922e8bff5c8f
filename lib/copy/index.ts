// Copying in bulk: databases, CSV, JSON and SQL dumps as sources and destinations.
export { copyData } from './copy-data.js';
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
  ExistingRows,
} from './types.js';
