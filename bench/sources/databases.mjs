// The databases whose logs are read, on servers of the benchmark's own.
import { Decimal128, Long } from 'mongodb';
import { startMariadb, startMongo } from '../../__test__/support/index.mjs';
import { EVENTS_PER_TRANSACTION, TABLE } from '../cdc/workload.mjs';
import { runProgram } from '../snapshot/peer-program.mjs';

/**
 * @typedef {object} Source
 * @property {import('./options.mjs').SourceDialect} dialect
 * @property {string} peer what reads the same
 * @property {() => Promise<string>} next makes a new database with a table of one row; gives its URI
 * @property {() => Promise<string>} position where the log stands, in the peer's words
 * @property {(uri: string, events: number) => Promise<unknown>} write
 */

/** @typedef {import('../../examples/demo/undo.mjs').Undo} Undo */

/** @type {Record<import('./options.mjs').SourceDialect, (undo: Undo) => Promise<Source>>} */
export const SOURCES = { mongodb: openMongo, mariadb: openMariadb };

/**
 * @param {Undo} undo
 * @returns {Promise<Source>}
 */
async function openMongo(undo) {
  const server = await startMongo();
  undo.add(() => server.remove());
  let number = 0;
  return {
    dialect: 'mongodb',
    peer: 'a change stream of the Rust driver',
    next: async () => {
      number += 1;
      const database = `source_${String(number)}`;
      await server.command({ insert: TABLE, documents: [firstDocument()] }, database);
      return server.uri.replace(`/${server.database}`, `/${database}`);
    },
    position: async () => {
      const { operationTime } = /** @type {{operationTime: import('mongodb').Timestamp}} */ (await server.command({ hello: 1 }));
      return `${String(operationTime.t)}.${String(operationTime.i + 1)}`;
    },
    write: (uri, events) => runProgram({ do: 'change', target: { dialect: 'mongodb', uri }, table: TABLE, events }),
  };
}

/** As the documents of the backlog are, so that the columns are known. */
function firstDocument() {
  const text = 'The first one';
  return {
    _id: Long.fromNumber(-1), small: Long.fromNumber(1), price: Decimal128.fromString('1.00'), ratio: 0.5, flag: true, name: text, hash: text,
    at: new Date(0), document: { n: 1, tags: ['a', 1] }, day: '2024-01-01',
  };
}

// The backlog of bench/cdc, in the words of MariaDB.
const MARIADB_SCHEMA = `
  CREATE TABLE ${TABLE} (id BIGINT PRIMARY KEY, small INT, price DECIMAL(14, 2), ratio DOUBLE, flag BOOLEAN, name VARCHAR(80),
                         hash VARCHAR(80), at DATETIME(3), document JSON, day DATE);
  INSERT INTO ${TABLE} VALUES (-1, 1, 1, 0.5, true, 'The first one', '', '2024-01-01', '{}', '2024-01-01');
  DELIMITER //
  CREATE PROCEDURE write_events(transactions INT)
  BEGIN
    DECLARE base BIGINT DEFAULT 0;
    FOR number IN 1..transactions DO
      START TRANSACTION;
      INSERT INTO ${TABLE}
        SELECT base + seq, seq % 1000, (base + seq) * 1.01, seq / 7, seq % 2 = 0, concat('Item number ', base + seq), md5(base + seq),
               '2024-01-01' + INTERVAL seq SECOND, json_object('n', seq, 'tags', json_array('a', seq % 10)), '2024-01-01' + INTERVAL seq DAY
        FROM seq_1_to_50;
      UPDATE ${TABLE} SET price = price + 1, name = concat('Renamed ', id) WHERE id > base AND id <= base + 40;
      DELETE FROM ${TABLE} WHERE id > base + 40 AND id <= base + 50;
      COMMIT;
      SET base = base + 50;
    END FOR;
  END //
  DELIMITER ;`;

/**
 * @param {Undo} undo
 * @returns {Promise<Source>}
 */
async function openMariadb(undo) {
  const server = await startMariadb();
  undo.add(() => server.remove());
  let number = 0;
  return {
    dialect: 'mariadb',
    peer: 'mysql_async decoding the binlog',
    next: async () => {
      number += 1;
      const database = `source_${String(number)}`;
      await server.sql(`CREATE DATABASE ${database}`);
      await server.sql(MARIADB_SCHEMA, database);
      const uri = new URL(server.uri);
      uri.pathname = `/${database}`;
      return uri.href;
    },
    position: async () => (await server.sql('SHOW MASTER STATUS')).split('\t').slice(0, 2).join(':'),
    write: (uri, events) => server.sql(`CALL write_events(${String(Math.ceil(events / EVENTS_PER_TRANSACTION))})`, new URL(uri).pathname.slice(1)),
  };
}
