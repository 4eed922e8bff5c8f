// Random transactions on a MongoDB source: inserts, updates of whole documents and of parts of them, deletes, large values.
import { MongoClient } from 'mongodb';
import { Writing } from './writing.mjs';

const KEYS = 400;
const NAMES = ['', 'plain', 'Ünïcødé', "o'quote", 'line\nbreak', '日本語', '\\back\\slash'];

/**
 * Random transactions on MongoDB.
 * @param {() => string} uri
 * @param {string} database
 * @param {import('./random.mjs').Random} random
 */
export function mongoWriting(uri, database, random) {
  const large = () => (random.chance(0.3) ? 'x' : `${String(random.below(1e9))}-`.repeat(600 + random.below(600)));
  const whole = () => ({
    name: random.pick(NAMES),
    amount: random.below(1e9) / 100 + 0.005,
    big: large(),
    flag: random.chance(0.5),
    at: new Date(Date.UTC(1960 + random.below(120), random.below(12), 1, 0, 0, 0, random.below(1000))),
    data: { n: random.below(1000), list: [random.pick(NAMES), null, random.below(9)] },
    n: random.below(1000),
  });
  /**
   * @param {import('mongodb').Collection<{_id: number}>} items
   * @param {import('mongodb').ClientSession} session
   */
  const change = async (items, session) => {
    const _id = random.below(KEYS);
    const kind = random.next();
    const options = { session };
    if (kind < 0.3) await items.replaceOne({ _id }, whole(), { session, upsert: true });
    else if (kind < 0.5) await items.updateOne({ _id }, { $set: { name: random.pick(NAMES), n: random.below(1000) } }, options);
    else if (kind < 0.58) await items.updateOne({ _id }, { $set: { big: large() } }, options);
    else if (kind < 0.66) await items.updateOne({ _id }, { $set: { 'data.n': random.below(1000) } }, options);
    else if (kind < 0.7) await items.updateOne({ _id }, { $unset: { at: '' } }, options);
    else if (kind < 0.9) await items.deleteMany({ _id: { $gte: _id, $lt: _id + 1 + random.below(3) } }, options);
    else await items.updateMany({ _id: { $mod: [7, random.below(7)] } }, { $inc: { n: 1 } }, options);
  };
  return new Writing({
    connect: () => MongoClient.connect(uri(), { serverSelectionTimeoutMS: 2000 }),
    transaction: async (client) => {
      /** @type {import('mongodb').Collection<{_id: number}>} */
      const items = client.db(database).collection('item');
      const session = client.startSession();
      try {
        session.startTransaction();
        const count = 1 + random.below(random.chance(0.05) ? 60 : 6);
        for (let number = 0; number < count; number += 1) await change(items, session);
        await (random.chance(0.1) ? session.abortTransaction() : session.commitTransaction());
      } finally {
        await session.endSession();
      }
    },
    disconnect: (client) => client.close(),
  });
}
