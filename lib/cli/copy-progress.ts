// Progress of a copy: bars on a terminal, a line per finished entity elsewhere.
import { MultiBar, type SingleBar } from 'cli-progress';
import type { CopyProgress } from '../copy/index.js';

/** A display of progress. */
export interface ProgressDisplay {
  update(step: CopyProgress): void;
  /** Ends the display; calling it again does nothing. */
  stop(): void;
}

/** Starts a display on a stream. */
export function startProgress(stream: NodeJS.WriteStream): ProgressDisplay {
  const isTerminal = stream.isTTY && process.env.TERM !== 'dumb' && !process.env.CI;
  return isTerminal ? bars(stream) : lines(stream);
}

function lines(stream: NodeJS.WriteStream): ProgressDisplay {
  return {
    update: ({ destination, entity, rows, done }) => {
      if (done) stream.write(`${entity} → ${destination}: ${rows} rows\n`);
    },
    stop: () => {},
  };
}

function bars(stream: NodeJS.WriteStream): ProgressDisplay {
  const display = new MultiBar({
    stream,
    hideCursor: true,
    clearOnComplete: true,
    // Whoever starts a display stops it, also when the process is interrupted.
    gracefulExit: false,
    format: '{entity} → {destination} {bar} {percentage} % {value}/{total} rows',
  });
  const shown = new Map<string, SingleBar>();
  let stopped = false;
  return {
    update: (step) => {
      if (stopped) return;
      const name = `${step.destinationIndex} ${step.entity}`;
      const total = Math.max(step.estimate ?? 0, step.rows, 1);
      const texts = { entity: step.entity, destination: step.destination };
      const bar = shown.get(name) ?? display.create(total, 0, texts);
      shown.set(name, bar);
      bar.setTotal(total);
      bar.update(step.rows, texts);
      if (!step.done) return;
      // Finished bars make room, so that more entities than the terminal has lines can be shown.
      display.remove(bar);
      shown.delete(name);
    },
    stop: () => {
      if (!stopped) display.stop();
      stopped = true;
    },
  };
}
