#!/usr/bin/env node
// The command mostajs-monitor: shows the replication of a tree file in a browser.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { runMonitorService } from '../monitor/service.js';

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) throw new InvalidArgumentError('expected a port.');
  return number;
}

const command = new Command('mostajs-monitor')
  .description('Shows replicas and rules of a tree file in a browser, without connecting to a database.')
  .option('--tree <file>', 'the tree file; .mostajs/replicator-tree.json by default')
  .option('--port <port>', '14499 by default', port)
  .option('--host <host>', '127.0.0.1 by default; another one needs a token')
  .option('--token <token>', 'what browsers must bring; better given as MONITOR_TOKEN, which other users of the machine do not see')
  .exitOverride();

function fail(error: unknown): void {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

try {
  command.parse();
  runMonitorService(command.opts()).catch(fail);
} catch (error) {
  // What commander refuses it has printed; help is no error.
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : 2;
}
