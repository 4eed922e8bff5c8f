// The log of the service: lines of text, or of JSON, on standard output and standard error.

/** Figures that belong to a line; in JSON they are its fields. */
export type LogFields = Record<string, string | number | boolean>;

/** Where the service tells what it does. */
export interface ServiceLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/**
 * A log; `REPLICATOR_LOG=json` makes its lines JSON: `{time, level, message, …fields}`. As text a line ends with its fields as
 * `name=value`. A quiet one leaves out what is as it should be.
 */
export function serviceLog(quiet: boolean): ServiceLog {
  const isJson = process.env.REPLICATOR_LOG === 'json';
  const line = (level: string, message: string, fields: LogFields): string => {
    const time = new Date().toISOString();
    if (isJson) return `${JSON.stringify({ time, level, message, ...fields })}\n`;
    const figures = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
    return `[replicator] ${time} ${level === 'info' ? '' : `${level}: `}${[message, ...figures].join(' ')}\n`;
  };
  return {
    info: (message, fields = {}) => { if (!quiet) process.stdout.write(line('info', message, fields)); },
    warn: (message, fields = {}) => { process.stderr.write(line('warn', message, fields)); },
    error: (message, fields = {}) => { process.stderr.write(line('error', message, fields)); },
  };
}
