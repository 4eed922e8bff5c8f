// What was applied, as the target itself records it: no range of positions may be applied twice.
import { MongoClient } from 'mongodb';

/**
 * A batch that was applied: behind which position of the source's log it begins, where it ends, and for a part of a
 * transaction how many of its changes were done by then. The epoch is that of the process, the phase the first copy or the
 * stream.
 * @typedef {{from: bigint, to: bigint, ordinal: bigint, epoch: bigint, phase: string}} Range
 */

/** Records every checkpoint, in the transaction that writes it. */
export const AUDIT_SQL = {
  sqlite: [
    'CREATE TABLE IF NOT EXISTS audit (n INTEGER PRIMARY KEY AUTOINCREMENT, f INTEGER, t INTEGER, o INTEGER, e INTEGER, p TEXT)',
    `CREATE TRIGGER IF NOT EXISTS audit_update AFTER UPDATE ON replicaverse_checkpoint
     BEGIN INSERT INTO audit (f, t, o, e, p) VALUES (new.from_position, new.position, new.ordinal, new.epoch, new.phase); END`,
    `CREATE TRIGGER IF NOT EXISTS audit_insert AFTER INSERT ON replicaverse_checkpoint
     BEGIN INSERT INTO audit (f, t, o, e, p) VALUES (new.from_position, new.position, new.ordinal, new.epoch, new.phase); END`,
  ],
  postgres: [
    'CREATE TABLE IF NOT EXISTS audit (n bigserial PRIMARY KEY, f bigint, t bigint, o bigint, e bigint, p text)',
    `CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN INSERT INTO audit (f, t, o, e, p) VALUES (new.from_position, new.position, new.ordinal, new.epoch, new.phase); RETURN NULL; END $$`,
    'CREATE OR REPLACE TRIGGER audit AFTER INSERT OR UPDATE ON replicaverse_checkpoint FOR EACH ROW EXECUTE FUNCTION audit()',
    // Apply runs with session_replication_role = replica, under which other triggers do not fire.
    'ALTER TABLE replicaverse_checkpoint ENABLE ALWAYS TRIGGER audit',
  ],
  mariadb: [
    'CREATE TABLE IF NOT EXISTS audit (n BIGINT AUTO_INCREMENT PRIMARY KEY, f BIGINT, t BIGINT, o BIGINT, e BIGINT, p TEXT)',
    `CREATE TRIGGER IF NOT EXISTS audit_update AFTER UPDATE ON replicaverse_checkpoint
     FOR EACH ROW INSERT INTO audit (f, t, o, e, p) VALUES (new.from_position, new.position, new.ordinal, new.epoch, new.phase)`,
    `CREATE TRIGGER IF NOT EXISTS audit_insert AFTER INSERT ON replicaverse_checkpoint
     FOR EACH ROW INSERT INTO audit (f, t, o, e, p) VALUES (new.from_position, new.position, new.ordinal, new.epoch, new.phase)`,
  ],
};

/** Reads what {@link AUDIT_SQL} recorded. */
export const READ_AUDIT = 'SELECT f, t, o, e, p FROM audit ORDER BY n';

/**
 * @param {readonly Record<string, unknown>[]} rows
 * @returns {Range[]}
 */
export function rangesOf(rows) {
  return rows.map(({ f, t, o, e, p }) => ({ from: integer(f), to: integer(t), ordinal: integer(o), epoch: integer(e), phase: String(p) }));
}

/** Records every checkpoint of a MongoDB target by a change stream. */
export class MongoAudit {
  /** @type {Range[]} */
  ranges = [];
  #client;
  #stream;

  /**
   * @param {string} uri
   * @param {string} database
   */
  constructor(uri, database) {
    this.#client = new MongoClient(uri, { serverSelectionTimeoutMS: 30_000 });
    this.#stream = this.#client.db(database).watch([{ $match: { 'ns.coll': 'replicaverse_checkpoint' } }], { fullDocument: 'updateLookup' });
    this.#stream.on('error', () => undefined);
    this.#stream.on('change', (change) => {
      this.#take(change);
    });
  }

  async close() {
    await this.#stream.close();
    await this.#client.close();
  }

  /** @param {import('mongodb').ChangeStreamDocument} change */
  #take(change) {
    const last = this.ranges.at(-1);
    /** @type {Record<string, unknown> | undefined} */
    let fields;
    if (change.operationType === 'insert' || change.operationType === 'replace') fields = change.fullDocument;
    // Fields that an update leaves as they were are those of the checkpoint before.
    if (change.operationType === 'update') fields = { from_position: last?.from, position: last?.to, ordinal: last?.ordinal, epoch: last?.epoch, phase: last?.phase, ...change.updateDescription.updatedFields };
    if (fields === undefined) return;
    const { from_position: from, position, ordinal, epoch, phase } = fields;
    this.ranges.push({ from: integer(from), to: integer(position), ordinal: integer(ordinal), epoch: integer(epoch), phase: String(phase) });
  }
}

/**
 * What was applied twice, in words; nothing if every range begins where the one before it ended, or behind.
 * @param {readonly Range[]} ranges in the order of their commits
 * @returns {string | undefined}
 */
export function firstOverlap(ranges) {
  for (const [index, { from, to, ordinal, epoch, phase }] of ranges.entries()) {
    const before = ranges[index - 1];
    if (before === undefined) continue;
    const goesOn = from >= before.to && to >= from;
    const isPart = to === before.to && ordinal > before.ordinal;
    const isSame = to === before.to && ordinal === before.ordinal;
    const isOnlyMarked = isSame && (epoch > before.epoch || phase !== before.phase);
    if (!goesOn && !isPart && !isOnlyMarked) {
      return `positions ${String(from)} to ${String(to)} were applied after ${String(before.from)} to ${String(before.to)}`;
    }
  }
  return undefined;
}

/** @param {unknown} value */
function integer(value) {
  return value === null || value === undefined ? 0n : BigInt(/** @type {bigint | number | string} */ (value));
}
