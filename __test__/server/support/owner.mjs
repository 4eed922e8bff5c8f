// A program for the clean-up test: starts every kind of server, says so, and waits to be killed.
import { startMariadb, startMongo, startPostgres, startRedis } from '../../support/index.mjs';

const [postgres] = await Promise.all([startPostgres({ standbys: 1 }), startMongo(), startMariadb(), startRedis()]);
// A paused server is the hardest to end, and a busy session does not notice that its server is gone.
postgres.standbys[0]?.pause();
postgres.psql('SELECT count(*) FROM generate_series(1, 1000000000) AS a').catch(() => undefined);
process.stdout.write('started\n');
