// Messages of migrations on the console.
import type { MigrationLogger } from './types.js';

/** Writes messages to the standard streams, errors and warnings to that for errors. */
export function consoleLogger(): MigrationLogger {
  const line = (stream: NodeJS.WriteStream, level: string, message: string, meta: unknown) => {
    stream.write(`[${level}] ${message}${meta === undefined ? '' : ` ${printed(meta)}`}\n`);
  };
  return {
    info: (message, meta) => line(process.stdout, 'INFO', message, meta),
    debug: (message, meta) => line(process.stdout, 'DEBUG', message, meta),
    warn: (message, meta) => line(process.stderr, 'WARN', message, meta),
    error: (message, meta) => line(process.stderr, 'ERROR', message, meta),
  };
}

function printed(meta: unknown): string {
  if (meta instanceof Error) return meta.message;
  return typeof meta === 'string' ? meta : (JSON.stringify(meta) ?? '');
}
