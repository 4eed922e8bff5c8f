// Progress of slow steps: one moving line on a terminal, plain lines elsewhere.

/**
 * @typedef {object} Progress
 * @property {(message: string) => void} step says what is being done now
 * @property {(message?: string) => void} done ends the display, leaving the message if one is given
 */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * Starts a display. It does not keep the process alive.
 * @param {NodeJS.WriteStream} [stream]
 * @returns {Progress}
 */
export function startProgress(stream = process.stderr) {
  return stream.isTTY && process.env.TERM !== 'dumb' ? movingLine(stream) : plainLines(stream);
}

/**
 * @param {NodeJS.WriteStream} stream
 * @returns {Progress}
 */
function plainLines(stream) {
  let previous = '';
  /** @param {string} message */
  const step = (message) => {
    if (message !== previous) stream.write(`${message}\n`);
    previous = message;
  };
  return { step, done: (message) => (message === undefined ? undefined : step(message)) };
}

/**
 * @param {NodeJS.WriteStream} stream
 * @returns {Progress}
 */
function movingLine(stream) {
  let message = '';
  let frame = 0;
  let startedAt = Date.now();
  const draw = () => {
    if (message === '') return;
    const seconds = Math.floor((Date.now() - startedAt) / 1000);
    const text = `${FRAMES[frame % FRAMES.length]} ${message}${seconds > 1 ? ` (${seconds} s)` : ''}`;
    frame += 1;
    stream.write(`\r\x1b[K${text.slice(0, (stream.columns || 80) - 1)}`);
  };
  const timer = setInterval(draw, 100);
  timer.unref();
  return {
    step(next) {
      message = next;
      startedAt = Date.now();
      draw();
    },
    done(last) {
      clearInterval(timer);
      stream.write('\r\x1b[K');
      if (last !== undefined) stream.write(`${last}\n`);
    },
  };
}
