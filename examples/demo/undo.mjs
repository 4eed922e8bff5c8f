// What has to be stopped and removed at the end, also when the process is interrupted.

/**
 * @typedef {object} Undo
 * @property {(step: () => unknown) => void} add a step that can be run in any state of what it undoes
 * @property {() => Promise<void>} run runs every step once, the last one added first; one that fails does not keep the
 *   others from running
 */

/** @returns {Undo} */
export function createUndo() {
  /** @type {(() => unknown)[]} */
  const steps = [];
  return {
    add: (step) => void steps.push(step),
    async run() {
      /** @type {unknown[]} */
      const failures = [];
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        try {
          await step();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
    },
  };
}

/** What a shell reports for a process that the signal ended. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/**
 * Ends the process in order when the user or the system wants it to end. A second signal ends it at once; what is left
 * then, the guardian of the servers removes.
 * @param {Undo} undo
 * @returns {AbortSignal} aborted when the process is being ended; what fails from then on only fails because of it
 */
export function undoWhenInterrupted(undo) {
  const interruption = new AbortController();
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.on(signal, () => {
      if (interruption.signal.aborted) process.exit(code);
      interruption.abort();
      console.error(`\nInterrupted by ${signal}: everything is stopped and removed.`);
      undo
        .run()
        .catch((error) => console.error(error instanceof Error ? error.message : error))
        .finally(() => process.exit(code));
    });
  }
  return interruption.signal;
}
