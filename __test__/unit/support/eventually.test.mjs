// Waiting for conditions in tests.
import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.mjs';

describe('eventually', () => {
  it('gives the first truthy value', async () => {
    let calls = 0;
    const value = await eventually(() => ((calls += 1) < 3 ? undefined : `call ${calls}`), { intervalMs: 1 });
    expect(value).toBe('call 3');
  });

  it('goes on when the probe throws', async () => {
    let calls = 0;
    const probe = () => {
      calls += 1;
      if (calls < 3) throw new Error('not yet');
      return true;
    };
    await expect(eventually(probe, { intervalMs: 1 })).resolves.toBe(true);
  });

  it('fails at the deadline with what was waited for and the last failure', async () => {
    const probe = () => Promise.reject(new Error('still closed'));
    const failure = await eventually(probe, { deadlineMs: 5, intervalMs: 1, what: 'the door being open' }).catch((error) => error);
    expect(failure.message).toBe('the door being open did not hold within 5 ms: still closed');
    expect(failure.cause.message).toBe('still closed');
  });
});
