// Test support: real servers, started on free ports and gone when the process that started them is gone.
export { eventually } from './eventually.mjs';
export { reservePort } from './free-port.mjs';
export { startMariadb } from './mariadb.mjs';
export { startMongo, startMongoSecondary } from './mongodb.mjs';
export { startPostgres } from './postgres.mjs';
export { Proxy } from './proxy.mjs';
export { startRedis } from './redis.mjs';
