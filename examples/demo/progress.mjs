// Progress of many collections: a moving bar for each on a terminal, a line at its start and its end elsewhere.
import { MultiBar } from 'cli-progress';
import { barLine, summaryLine } from './progress-line.mjs';
import { counted } from './formatting.mjs';

/** @typedef {import('./progress-line.mjs').Step} Step */

/**
 * @typedef {object} Progress
 * @property {(step: Step) => void} update does nothing after the end
 * @property {() => void} stop ends the display; what is not finished disappears
 */

/**
 * Starts a display.
 * @param {NodeJS.WriteStream} [stream]
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Progress}
 */
export function startProgress(stream = process.stdout, env = process.env) {
  return isInteractive(stream, env) ? movingBars(stream) : plainLines(stream);
}

/**
 * Whether a display may move the cursor.
 * @param {NodeJS.WriteStream} stream
 * @param {NodeJS.ProcessEnv} env
 */
function isInteractive(stream, env) {
  const inCi = !['', '0', 'false'].includes(env.CI ?? '');
  return stream.isTTY && !inCi && env.TERM !== 'dumb';
}

/**
 * @param {NodeJS.WriteStream} stream
 * @returns {Progress}
 */
function plainLines(stream) {
  const secondsSinceStart = startClock();
  const begun = new Set();
  let isStopped = false;
  return {
    update(step) {
      if (isStopped) return;
      const seconds = secondsSinceStart(step.collection);
      const expected = step.estimate === undefined ? '' : `, about ${counted(step.estimate, 'row')}`;
      if (step.done) stream.write(`${summaryLine(step, seconds)}\n`);
      else if (!begun.has(step.collection)) stream.write(`  ${step.collection}: started${expected}\n`);
      begun.add(step.collection);
    },
    stop() {
      isStopped = true;
    },
  };
}

/**
 * Only the collections at work have a bar. The finished ones become lines that scroll away above, so that a database
 * with more tables than the terminal has lines can be shown too.
 * @param {NodeJS.WriteStream} stream
 * @returns {Progress}
 */
function movingBars(stream) {
  const secondsSinceStart = startClock();
  const colors = stream.hasColors();
  /** @type {Map<string, import('cli-progress').SingleBar>} */
  const bars = new Map();
  const display = new MultiBar({
    stream,
    hideCursor: true,
    clearOnComplete: true,
    // A finished line moves the bars down: they are drawn anew even if they say the same as before.
    forceRedraw: true,
    // Whoever starts a display stops it, also when the process is interrupted.
    gracefulExit: false,
    format: (_options, { maxWidth }, { step }) =>
      barLine(step, secondsSinceStart(step.collection), { width: maxWidth, colors }),
  });
  let isStopped = false;
  return {
    update(step) {
      if (isStopped) return;
      const seconds = secondsSinceStart(step.collection);
      const bar = bars.get(step.collection) ?? display.create(step.estimate ?? step.rows, step.rows, { step });
      bars.set(step.collection, bar);
      bar.update(step.rows, { step });
      if (!step.done) return;
      display.log(`${summaryLine(step, seconds, { width: stream.columns, colors })}\n`);
      display.remove(bar);
      bars.delete(step.collection);
    },
    stop() {
      if (!isStopped) display.stop();
      isStopped = true;
    },
  };
}

/** @returns {(collection: string) => number} seconds since the collection was first asked for */
function startClock() {
  /** @type {Map<string, number>} */
  const starts = new Map();
  return (collection) => {
    const now = performance.now();
    const start = starts.get(collection) ?? now;
    starts.set(collection, start);
    return (now - start) / 1000;
  };
}
