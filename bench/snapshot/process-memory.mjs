// The resident memory of this process, now and at its peak, as Linux reports it.
import { readFileSync, writeFileSync } from 'node:fs';

const STATUS = '/proc/self/status';
// Written to this file, 5 makes the peak start anew from what is resident now.
const CLEAR = { file: '/proc/self/clear_refs', peak: '5' };

/**
 * Starts the measurement of a peak.
 * @returns {boolean} whether this system can measure it
 */
export function startPeak() {
  try {
    writeFileSync(CLEAR.file, CLEAR.peak);
    return true;
  } catch {
    return false;
  }
}

/**
 * @returns {number} bytes resident now
 */
export function residentBytes() {
  return statusBytes('VmRSS');
}

/**
 * @returns {number} the most bytes that were resident since `startPeak`
 */
export function peakBytes() {
  return statusBytes('VmHWM');
}

/** @param {string} field */
function statusBytes(field) {
  const found = new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(readFileSync(STATUS, 'utf8'));
  if (found?.[1] === undefined) throw new Error(`${STATUS} has no ${field}`);
  return Number(found[1]) * 1024;
}
