// What pgm prints: lines for people, coloured on a terminal, or one JSON document for programs.
import { Console } from 'node:console';
import type { MigrationStatus, MigrationStep } from '../../pg-multiverse/migrations/types.js';

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** Prints to the standard streams. With `json`, only a document goes to the standard output. */
export class Output {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly #hasColours: boolean;

  constructor({ json = false, verbose = false }: { json?: boolean; verbose?: boolean }) {
    this.isJson = json;
    this.isVerbose = verbose;
    // What migrations print is not part of the document.
    if (json) globalThis.console = new Console(process.stderr);
    const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
    const isForced = FORCE_COLOR !== undefined && FORCE_COLOR !== '0';
    this.#hasColours = isForced || (process.stdout.isTTY && TERM !== 'dumb' && (NO_COLOR === undefined || NO_COLOR === ''));
  }

  paint(colour: keyof typeof CODES, text: string): string {
    return this.#hasColours ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
  }

  line(text = ''): void {
    if (!this.isJson) process.stdout.write(`${text}\n`);
  }

  /** A line that only `--verbose` shows. */
  detail(text: string): void {
    if (this.isVerbose) this.line(this.paint('dim', text));
  }

  warn(text: string): void {
    process.stderr.write(`⚠️  ${text}\n`);
  }

  fail(text: string): void {
    process.stderr.write(`❌ ${text}\n`);
  }

  json(document: object): void {
    if (this.isJson) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }

  /** Rows under headings, in columns as wide as their longest cell. */
  table(headings: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = headings.map((heading, at) => Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)));
    const text = (row: readonly string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ').trimEnd();
    this.line(`  ${this.paint('bold', text(headings))}`);
    for (const row of rows) this.line(`  ${text(row)}`);
  }

  status(title: string, status: MigrationStatus): void {
    this.line(`📊 ${title}:`);
    this.line(`  Total migrations: ${status.totalMigrations}`);
    this.line(`  Applied: ${status.appliedMigrations}`);
    this.line(`  Pending: ${status.pendingMigrations}`);
    this.line(`  Failed: ${status.failedMigrations}`);
  }

  counts(status: MigrationStatus): void {
    for (const [title, groups] of [['📋 By Schema', status.bySchema], ['🏛️  By Cluster', status.byCluster]] as const) {
      this.line();
      this.line(`${title}:`);
      for (const [name, { applied, pending, failed, lastApplied }] of Object.entries(groups)) {
        this.line(`  ${name}:`);
        this.line(`    Applied: ${applied}`);
        this.line(`    Pending: ${pending}`);
        if (failed > 0) this.line(`    Failed: ${failed}`);
        if (lastApplied !== undefined) this.line(`    Last applied: ${lastApplied}`);
      }
    }
  }

  /** The steps of a plan, in numbered lines; to the standard output unless another stream is named. */
  plan(steps: readonly MigrationStep[], to?: NodeJS.WriteStream): void {
    const write = (text: string) => (to === undefined ? this.line(text) : void to.write(`${text}\n`));
    write('📝 Plan:');
    if (steps.length === 0) write('  nothing to do');
    steps.forEach(({ version, schema, cluster, transaction, executed }, at) => {
      const notes = [transaction ? '' : 'no transaction', executed === undefined ? '' : executed ? 'ran and was rolled back' : 'not run'];
      const note = notes.filter((each) => each !== '').join(', ');
      write(`  ${at + 1}. ${version} on ${schema}@${cluster}${note === '' ? '' : ` (${note})`}`);
    });
  }
}
