// Streams the articles of a head office (PostgreSQL) and of a till (MariaDB) both ways, until it is interrupted.
import { once } from 'node:events';
import { ReplicationManager } from 'replicaverse';

const [office, till] = process.argv.slice(2);
if (office === undefined || till === undefined) throw new Error('usage: node exchange.mjs <postgres uri> <mariadb uri>');

const manager = new ReplicationManager();
manager.on('state', ({ state, reason }) => console.log(state, reason ?? ''));
manager.on('conflict', ({ collection, key, winner }) => console.log(`${collection} ${key}: ${winner} stays`));
manager.on('error', (error) => console.error(error));

await manager.addReplica('office', { name: 'office', role: 'master', dialect: 'postgres', uri: office }, []);
await manager.addReplica('till', { name: 'till', role: 'master', dialect: 'mariadb', uri: till }, []);
manager.addReplicationRule({
  name: 'articles',
  source: 'office',
  target: 'till',
  mode: 'bidirectional',
  collections: ['article'],
  conflictResolution: 'resolve',
});

await manager.start('articles', {
  resolve: ({ source, target }) => {
    // An article that one side has deleted is deleted.
    if (source === null || target === null) return null;
    return { ...source, stock: Math.min(Number(source.stock), Number(target.stock)) };
  },
});
console.log('both ways');
await once(process, 'SIGINT');
await manager.disconnectAll();
