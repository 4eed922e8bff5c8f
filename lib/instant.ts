// Moments as dates.

/** A moment, from milliseconds since 1970. The infinities stay numbers. */
export function instant(time: number): Date | number {
  return isFinite(time) ? new Date(time) : time;
}
