// A search index: products of PostgreSQL that are published stand as documents in MongoDB, with the words to find them by.
//
//   node examples/replication/search-index.mjs postgres://user@host/shop mongodb://host/search?replicaSet=rs0
import { ReplicationManager } from 'replicaverse';

const [, , shopUri, searchUri] = process.argv;
if (shopUri === undefined || searchUri === undefined) {
  console.error('usage: node search-index.mjs <URI of PostgreSQL> <URI of MongoDB>');
  process.exit(2);
}

const CREATE = `CREATE TABLE IF NOT EXISTS products
  (id bigint PRIMARY KEY, title text NOT NULL, description text, cost numeric, published boolean NOT NULL)`;
const FILL = `INSERT INTO products VALUES
  (1, 'Blue kettle', 'Boils a litre of water', 12.50, true), (2, 'Red kettle', 'Not for sale yet', 14, false)
  ON CONFLICT DO NOTHING`;

/**
 * The words of texts, each once.
 * @param {unknown[]} texts
 * @returns {string[]}
 */
function wordsOf(texts) {
  return [...new Set(texts.join(' ').toLowerCase().match(/\p{L}{3,}/gu) ?? [])];
}

const manager = new ReplicationManager();
await manager.addReplica('shop', { name: 'main', role: 'master', dialect: 'postgres', uri: shopUri, schemaStrategy: 'none' });
await manager.addReplica('search', { name: 'main', role: 'master', dialect: 'mongodb', uri: searchUri });
const shop = manager.resolveWriteService('shop')?.dialect;
const search = manager.resolveWriteService('search')?.dialect;
await shop?.executeRun(CREATE);
await shop?.executeRun(FILL);

manager.addReplicationRule({
  name: 'search-index',
  source: 'shop',
  target: 'search',
  mode: 'cdc',
  collections: ['products'],
  rename: { products: 'found_products' },
  where: { published: true },
  columns: { products: { exclude: ['cost'], add: ['words'] } },
  transform: ({ row }) => ({ ...row, words: wordsOf([row.title, row.description]) }),
});

/** @param {string} word */
async function find(word) {
  const found = await search?.executeQuery(JSON.stringify({ find: 'found_products', filter: { words: word } }));
  console.log(`${word}:`, found);
}

await manager.sync('search-index');
await find('kettle');
await shop?.executeRun('UPDATE products SET published = NOT published');
// An application would call `start` once; each change is then found within milliseconds.
await manager.sync('search-index');
await find('kettle');
manager.removeReplicationRule('search-index');
await manager.disconnectAll();
