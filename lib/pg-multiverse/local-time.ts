// Dates and times without a time zone, which node-postgres reads as those of the process's time zone.

const INFINITE_DAYS = 0x7fffffff;
const NEGATIVE_INFINITE_DAYS = -0x80000000;
const DAY = 86_400_000;

/** Takes a clock's reading apart; its UTC parts are the parts of the reading. */
const clock = new Date(0);

/**
 * A timestamp without time zone. The infinities stay numbers.
 *
 * @param reading milliseconds since 1970 on the same clock
 */
export function localTime(reading: number): Date | number {
  if (!isFinite(reading)) return reading;
  clock.setTime(reading);
  const year = clock.getUTCFullYear();
  const date = new Date(
    year,
    clock.getUTCMonth(),
    clock.getUTCDate(),
    clock.getUTCHours(),
    clock.getUTCMinutes(),
    clock.getUTCSeconds(),
    clock.getUTCMilliseconds(),
  );
  return inTrueYear(date, year);
}

/**
 * A date, as its first moment. The infinities are numbers.
 *
 * @param days since 1970
 */
export function localDay(days: number): Date | number {
  if (days === INFINITE_DAYS) return Infinity;
  if (days === NEGATIVE_INFINITE_DAYS) return -Infinity;
  clock.setTime(days * DAY);
  const year = clock.getUTCFullYear();
  return inTrueYear(new Date(year, clock.getUTCMonth(), clock.getUTCDate()), year);
}

/** The constructor takes the years 0 to 99 for those of the twentieth century. */
function inTrueYear(date: Date, year: number): Date {
  if (year >= 0 && year < 100) date.setFullYear(year);
  return date;
}
