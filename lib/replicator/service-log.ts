// The log of the service: lines of text, or of JSON, on standard output and standard error.

/** Where the service tells what it does. */
export interface ServiceLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** A log; `REPLICATOR_LOG=json` makes its lines JSON. A quiet one leaves out what is as it should be. */
export function serviceLog(quiet: boolean): ServiceLog {
  const isJson = process.env.REPLICATOR_LOG === 'json';
  const line = (level: string, message: string): string => {
    const time = new Date().toISOString();
    return isJson ? `${JSON.stringify({ time, level, message })}\n` : `[replicator] ${time} ${level === 'info' ? '' : `${level}: `}${message}\n`;
  };
  return {
    info: (message) => { if (!quiet) process.stdout.write(line('info', message)); },
    warn: (message) => { process.stderr.write(line('warn', message)); },
    error: (message) => { process.stderr.write(line('error', message)); },
  };
}
