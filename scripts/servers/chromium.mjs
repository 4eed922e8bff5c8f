// Finding Chromium, in which the dashboard is tested: CHROMIUM, the system's program, else Debian's package.
import { installPackages } from './apt.mjs';
import { findProgram, run } from './command.mjs';

/**
 * @typedef {object} ChromiumBrowser
 * @property {string} chromium the program
 * @property {string} version
 * @property {string} source where it was found, for people
 */

/** @typedef {import('./index.mjs').Missing} Missing */

const FIX = 'install Chromium (apt-get install chromium, brew install --cask chromium), or set CHROMIUM to its program';

/**
 * Looks for Chromium without installing anything.
 * @returns {Promise<ChromiumBrowser | Missing>}
 */
export async function findChromium() {
  const override = process.env.CHROMIUM;
  if (override !== undefined && override !== '') {
    const browser = await inspect(override, 'CHROMIUM');
    return 'reason' in browser ? missing(`CHROMIUM is ${override}: ${browser.reason}`) : browser;
  }
  const program = await findProgram(['chromium', 'chromium-browser', 'google-chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium']);
  if (program === undefined) return missing('no Chromium was found');
  const browser = await inspect(program, 'system');
  return 'reason' in browser ? missing(browser.reason) : browser;
}

/**
 * Installs Debian's package.
 * @param {(message: string) => void} log
 * @returns {Promise<ChromiumBrowser | Missing>}
 */
export async function installChromium(log) {
  const reason = await installPackages(['chromium'], log);
  return reason === undefined ? findChromium() : missing(`no Chromium was found, and ${reason}`);
}

/**
 * @param {string} chromium
 * @param {string} source
 * @returns {Promise<ChromiumBrowser | {reason: string}>}
 */
async function inspect(chromium, source) {
  const outcome = await run(chromium, ['--version']);
  const version = /(?:Chromium|Chrome) (\S+)/.exec(outcome.stdout)?.[1];
  if (outcome.code !== 0 || version === undefined) return { reason: `it does not run: ${outcome.stderr.trim() || outcome.stdout.trim()}` };
  return { chromium, version, source };
}

/**
 * @param {string} reason
 * @returns {Missing}
 */
function missing(reason) {
  return { server: 'chromium', reason, fix: FIX };
}
