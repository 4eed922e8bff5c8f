// A process stays alive as long as queries are on their way, and not because of connections that wait for work.

/** The longest delay of a timer; it never has anything to do. */
const LONG = 2 ** 31 - 1;

const holders = new Set<object>();
let timer: NodeJS.Timeout | undefined;

/** Keeps the process alive, and the holder from being collected. */
export function holdProcess(holder: object): void {
  holders.add(holder);
  timer ??= setInterval(() => undefined, LONG);
  timer.ref();
}

/** Ends that. */
export function letProcessGo(holder: object): void {
  holders.delete(holder);
  if (holders.size === 0) timer?.unref();
}
