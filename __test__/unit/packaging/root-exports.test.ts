// The package's root has what its sub-paths have, as values too.
import * as root from 'replicaverse';
import * as copy from 'replicaverse/copy';
import * as monitor from 'replicaverse/monitor';
import * as mproject from 'replicaverse/mproject';
import * as orm from 'replicaverse/orm';
import * as multiverse from 'replicaverse/pg-multiverse';
import * as replicator from 'replicaverse/replicator';
import { expect, test } from 'vitest';

type Values<M> = Omit<M, 'default'>;

// What the root has as a type only does not compile here.
const typed: Values<typeof copy> & Values<typeof monitor> & Values<typeof mproject> & Values<typeof orm> & Values<typeof multiverse> & Values<typeof replicator> = root;

test('each value of a sub-path is the same one at the root', () => {
  for (const part of [copy, monitor, mproject, orm, multiverse, replicator]) {
    const { default: _default, ...values } = { default: undefined, ...part };
    expect(typed).toMatchObject(values);
  }
});
