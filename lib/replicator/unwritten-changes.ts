// Changes that the core has made and could not write to the tree file: it throws, but what follows from them must still be done.
import { ReplicaverseError } from '../errors.js';

/** Awaits a change, and does what follows from it also when it was made and only could not be written, before that is thrown. */
export async function made<T>(change: () => Promise<T>, follow: (outcome?: T) => void): Promise<void> {
  let outcome: T;
  try {
    outcome = await change();
  } catch (error) {
    if (isUnwritten(error)) follow();
    throw error;
  }
  follow(outcome);
}

/** As {@link made}, for a change that is made at once. */
export function madeAtOnce(change: () => void, follow: () => void): void {
  try {
    change();
  } catch (error) {
    if (isUnwritten(error)) followQuietly(follow);
    throw error;
  }
  follow();
}

/** What follows may itself have to be written, and fails for the same reason, which is thrown already. */
function followQuietly(follow: () => void): void {
  try {
    follow();
  } catch (error) {
    if (!isUnwritten(error)) throw error;
  }
}

function isUnwritten(error: unknown): boolean {
  return error instanceof ReplicaverseError && error.code === 'ERR_TREE_FILE';
}
