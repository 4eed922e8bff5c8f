// Projects: named databases with entities of their own, kept together and written to a file.
import { resolve } from 'node:path';
import { configError, ReplicaverseError } from '../errors.js';
import { type EntityService, maskPassword } from '../orm/index.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { Project } from './project.js';
import { readProjects, writeProjects } from './project-file.js';
import type { LoadOutcome, PersistOptions, ProjectConfig, ProjectContext, ProjectInfo, ProjectPool } from './types.js';

/**
 * Holds the projects of an application, each with a connection pool and entities of its own. A `ReplicationManager` takes one
 * to know its projects. Errors carry a `code`, and never a password.
 */
export class ProjectManager {
  readonly #projects = new Map<string, Project>();
  /** Names that are being connected, so that no other can take them. */
  readonly #opening = new Set<string>();
  /** Projects whose password stood in a file that was loaded, with that file: there it stays. */
  readonly #passwordIn = new Map<string, string>();
  #persistence: { path: string; options: PersistOptions } | undefined;

  /** How many projects there are, the default one among them. */
  get size(): number {
    return this.#projects.size;
  }

  /**
   * Connects a project and brings its tables into being.
   *
   * @throws {ReplicaverseError} with code `ERR_DUPLICATE_PROJECT` when the name is taken, `ERR_PROJECT_FILE` when the file that
   *   is kept cannot be written, else as `createIsolatedDialect`; the project is then not added.
   */
  async addProject(config: ProjectConfig): Promise<ProjectContext> {
    const project = new Project(config);
    await this.#reserving(project.config.name, () => project.connect());
    await this.#entered(project);
    return project.context();
  }

  /**
   * Removes a project and closes its connections; that of the default project belongs to the application and stays open.
   *
   * @throws {ReplicaverseError} with code `ERR_UNKNOWN_PROJECT`.
   */
  async removeProject(name: string): Promise<void> {
    const project = this.#known(name);
    this.#change(() => this.#projects.delete(name));
    this.#passwordIn.delete(name);
    await project.disconnect();
  }

  /**
   * Changes settings of a project. The new connection is opened before the old one is closed; if that fails, everything stays
   * as it is.
   *
   * @throws {ReplicaverseError} with code `ERR_UNKNOWN_PROJECT`, or as {@link addProject}.
   */
  async updateProject(name: string, changes: Partial<ProjectConfig>): Promise<ProjectContext> {
    const former = this.#known(name);
    if (changes.name !== undefined && changes.name !== name) throw configError(`project "${name}": its name cannot be changed`);
    const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    const project = former.isDefault ? this.#changedDefault(former, given) : new Project({ ...former.config, ...given, name });
    if (!project.isDefault) await project.connect();
    if (this.#projects.get(name) !== former) {
      await project.disconnect();
      throw new ReplicaverseError(`Projet "${name}" a ete modifie entre-temps`, { kind: 'Conflict', code: 'ERR_CONFLICT', retryable: true });
    }
    await this.#entered(project);
    await former.disconnect();
    return project.context();
  }

  /** Whether there is a project of this name. */
  hasProject(name: string): boolean {
    return this.#projects.has(name);
  }

  /** The project of a name with its connection, `undefined` if there is none. */
  getProject(name: string): ProjectContext | undefined {
    return this.#projects.get(name)?.context();
  }

  /** What there is to know of every project, without connections and passwords, in the order in which they came. */
  listProjects(): ProjectInfo[] {
    return [...this.#projects.values()].map((project) => project.info());
  }

  /**
   * Makes a connection that the application has opened the default project; a former default project is replaced. It is
   * not written to the file, and never closed here.
   *
   * @throws {ReplicaverseError} with code `ERR_DUPLICATE_PROJECT` when the name is that of another project.
   */
  setDefault(name: string, dialect: IDialect, schemas?: readonly EntityDeclaration[]): void {
    const taken = this.#projects.get(name)?.isDefault === false || this.#opening.has(name);
    if (taken) throw duplicate(name);
    const project = Project.default(name, dialect, schemas);
    for (const [former, { isDefault }] of this.#projects) if (isDefault && former !== name) this.#projects.delete(former);
    this.#projects.set(name, project);
  }

  /** The entities of a project, without a name those of the default one; `null` when it is unknown or not connected. */
  resolveEntityService(name?: string): EntityService | null {
    if (name !== undefined) return this.#projects.get(name)?.service ?? null;
    return [...this.#projects.values()].find(({ isDefault }) => isDefault)?.service ?? null;
  }

  /** The size of each project's pool. */
  getPoolStats(): ProjectPool[] {
    return [...this.#projects.values()].map((project) => project.poolInfo());
  }

  /**
   * Writes the projects to a file, with `***` in place of passwords unless the options keep them. A password that was loaded
   * from this very file stays in it.
   *
   * @throws {ReplicaverseError} with code `ERR_PROJECT_FILE`.
   */
  saveToFile(path: string, options: PersistOptions = {}): void {
    const stored = [...this.#projects.values()].filter(({ isDefault }) => !isDefault);
    const keepsPassword = ({ name }: ProjectConfig): boolean => options.passwords === 'keep' || this.#passwordIn.get(name) === resolve(path);
    writeProjects(path, stored.map(({ config, schemas }) => ({ ...config, schemas })), keepsPassword);
  }

  /** Writes the file after every change from now on. Nothing is written yet: the file may be about to be loaded. */
  enableAutoPersist(path: string, options: PersistOptions = {}): void {
    if (typeof path !== 'string' || path === '') throw configError('path: a value is required');
    this.#persistence = { path, options };
  }

  /**
   * Adds the projects of a file. One that cannot be connected stays listed with status `error` and is kept in the file; one
   * whose name is taken is passed over.
   *
   * @throws {ReplicaverseError} with code `ERR_PROJECT_FILE` when the file is malformed; nothing of it is then used.
   */
  async loadFromFile(path: string): Promise<LoadOutcome> {
    const outcome: LoadOutcome = { loaded: [], failed: [], kept: [] };
    for (const config of readProjects(path)) {
      const { name } = config;
      if (this.hasProject(name) || this.#opening.has(name)) {
        outcome.kept.push(name);
        continue;
      }
      const project = new Project(config);
      if (maskPassword(config.uri) !== config.uri) this.#passwordIn.set(name, resolve(path));
      // It is listed before it is connected, so that a file written meanwhile has it too.
      this.#projects.set(name, project);
      try {
        await project.connect();
        // It may have been removed meanwhile.
        if (this.#projects.get(name) !== project) await project.disconnect();
        outcome.loaded.push(name);
      } catch (error) {
        outcome.failed.push({ name, error: error instanceof Error ? error.message : String(error) });
      }
    }
    this.#persist();
    return outcome;
  }

  /** Closes the connections of all projects, which stay listed. Calling it again does nothing. */
  async disconnectAll(): Promise<void> {
    const closing = [...this.#projects.values()].map((project) => project.disconnect());
    const failures = (await Promise.allSettled(closing)).filter((outcome) => outcome.status === 'rejected');
    if (failures[0] !== undefined) throw failures[0].reason;
  }

  #changedDefault(former: Project, { schemas, ...others }: Partial<ProjectConfig>): Project {
    const { dialect } = former.context();
    const [setting] = Object.keys(others).filter((key) => key !== 'name');
    if (setting !== undefined || dialect === null) {
      throw configError(`project "${former.config.name}": of the default project only the schemas can be changed`);
    }
    return Project.default(former.config.name, dialect, schemas ?? former.schemas);
  }

  async #reserving(name: string, work: () => Promise<void>): Promise<void> {
    if (this.#projects.has(name) || this.#opening.has(name)) throw duplicate(name);
    this.#opening.add(name);
    try {
      await work();
    } finally {
      this.#opening.delete(name);
    }
  }

  #known(name: string): Project {
    const project = this.#projects.get(name);
    if (project !== undefined) return project;
    throw new ReplicaverseError(`Projet "${name}" introuvable`, { code: 'ERR_UNKNOWN_PROJECT' });
  }

  /** Enters a project that was connected, which is closed again if that cannot be written to the file. */
  async #entered(project: Project): Promise<void> {
    try {
      this.#change(() => this.#projects.set(project.config.name, project));
    } catch (error) {
      await project.disconnect();
      throw error;
    }
  }

  /** Makes a change and writes the file; if that fails, the projects are as they were before. */
  #change(change: () => void): void {
    const before = [...this.#projects];
    change();
    try {
      this.#persist();
    } catch (error) {
      this.#projects.clear();
      for (const [name, project] of before) this.#projects.set(name, project);
      throw error;
    }
  }

  #persist(): void {
    if (this.#persistence !== undefined) this.saveToFile(this.#persistence.path, this.#persistence.options);
  }
}

function duplicate(name: string): ReplicaverseError {
  return new ReplicaverseError(`Projet "${name}" existe deja`, { code: 'ERR_DUPLICATE_PROJECT' });
}
