// A minimal PostgreSQL session for test support: simple queries over a unix socket, every value as text.
// It needs neither psql, which some installations lack, nor the client under test.
import { createConnection } from 'node:net';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/**
 * @typedef {object} SessionTarget
 * @property {string} socketPath
 * @property {string} user
 * @property {string} password
 * @property {string} database
 */

/**
 * Runs one text of SQL, which may hold several statements, in a session of its own.
 * @param {SessionTarget} target
 * @param {string} sql
 * @returns {Promise<string>} all rows, one per line, columns separated by `|`, NULL as nothing
 * @throws {Error} with `code` (SQLSTATE) when the server reports an error
 */
export function runSql(target, sql) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(target.socketPath);
    /** @type {string[]} */
    const rows = [];
    /** @type {Error | undefined} */
    let failure;
    let ready = false;
    const authentication = startAuthentication(target);

    /**
     * @param {string} type
     * @param {Buffer} body
     */
    function onMessage(type, body) {
      if (type === 'R') {
        const answer = authentication(body);
        if (answer !== undefined) socket.write(message('p', answer));
      } else if (type === 'D') {
        rows.push(rowText(body));
      } else if (type === 'E') {
        failure ??= serverError(body);
      } else if (type === 'G') {
        socket.write(message('f', cString('COPY from the client is not supported here')));
      } else if (type === 'Z' && !ready && failure === undefined) {
        ready = true;
        socket.write(message('Q', cString(sql)));
      } else if (type === 'Z') {
        socket.end(message('X', Buffer.alloc(0)));
      }
    }

    socket.on('connect', () => socket.write(startupMessage(target)));
    socket.on('data', messageReader((type, body) => {
      try {
        onMessage(type, body);
      } catch (error) {
        socket.destroy(/** @type {Error} */ (error));
      }
    }));
    socket.on('error', (error) => (failure ??= error));
    socket.on('close', () => (failure === undefined ? resolve(rows.join('\n')) : reject(failure)));
  });
}

/**
 * Cuts the byte stream into messages.
 * @param {(type: string, body: Buffer) => void} onMessage
 * @returns {(chunk: Buffer) => void}
 */
function messageReader(onMessage) {
  /** @type {Buffer} */
  let buffered = Buffer.alloc(0);
  return (chunk) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length >= 5) {
      const end = 1 + buffered.readInt32BE(1);
      if (buffered.length < end) return;
      onMessage(String.fromCharCode(buffered[0] ?? 0), buffered.subarray(5, end));
      buffered = buffered.subarray(end);
    }
  };
}

/**
 * Answers the server's authentication requests.
 * @param {SessionTarget} target
 * @returns {(body: Buffer) => Buffer | undefined} the answer to send, if the request wants one
 */
function startAuthentication({ user, password }) {
  const nonce = randomBytes(18).toString('base64');
  const clientFirst = `n=,r=${nonce}`;
  return (body) => {
    const kind = body.readInt32BE(0);
    if (kind === 3) return cString(password);
    if (kind === 5) return cString(`md5${md5(md5(password + user), body.subarray(4, 8))}`);
    if (kind === 10) {
      const first = Buffer.from(`n,,${clientFirst}`);
      return Buffer.concat([cString('SCRAM-SHA-256'), int32(first.length), first]);
    }
    if (kind === 11) return Buffer.from(scramFinal(password, clientFirst, body.toString('utf8', 4)));
    // Zero is success; twelve carries the server's signature, which a test server need not prove.
    if (kind === 0 || kind === 12) return undefined;
    throw new Error(`the server asks for authentication method ${kind}, which this session does not know`);
  };
}

/**
 * @param {string} password
 * @param {string} clientFirst
 * @param {string} serverFirst
 */
function scramFinal(password, clientFirst, serverFirst) {
  const [, nonce = '', salt = '', iterations = ''] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(serverFirst) ?? [];
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${nonce}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), `${clientFirst},${serverFirst},${withoutProof}`);
  const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
  return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`;
}

/**
 * @param {Buffer} key
 * @param {string} text
 */
function hmac(key, text) {
  return createHmac('sha256', key).update(text).digest();
}

/**
 * @param {string} text
 * @param {Buffer} [salt]
 */
function md5(text, salt = Buffer.alloc(0)) {
  return createHash('md5').update(text).update(salt).digest('hex');
}

/** @param {Buffer} body */
function rowText(body) {
  const columns = [];
  let at = 2;
  for (let rest = body.readInt16BE(0); rest > 0; rest -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? '' : body.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return columns.join('|');
}

/** @param {Buffer} body */
function serverError(body) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const field of body.toString('utf8').split('\0')) fields[field.slice(0, 1)] = field.slice(1);
  return Object.assign(new Error(`${fields.M} (SQLSTATE ${fields.C})`), { code: fields.C });
}

/** @param {SessionTarget} target */
function startupMessage({ user, database }) {
  const parameters = ['user', user, 'database', database, 'client_encoding', 'UTF8', 'application_name', 'test support'];
  const body = Buffer.concat([int32(196_608), ...parameters.map(cString), Buffer.alloc(1)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

/**
 * @param {string} type
 * @param {Buffer} body
 */
function message(type, body) {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

/** @param {string} text */
function cString(text) {
  return Buffer.from(`${text}\0`);
}

/** @param {number} value */
function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
