// Projects: named databases with entities of their own.
export { ProjectManager } from './project-manager.js';
export type {
  LoadOutcome,
  PersistOptions,
  ProjectConfig,
  ProjectContext,
  ProjectInfo,
  ProjectPool,
  ProjectStatus,
} from './types.js';
