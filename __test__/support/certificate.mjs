// Certificates for test servers: an authority and a server certificate, encoded here because Node reads
// certificates but does not make them.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { handOverFile } from './account.mjs';

/**
 * @typedef {object} Certificates
 * @property {string} caFile the authority's certificate, for clients that verify
 * @property {Record<string, string>} settings for postgresql.conf
 */

const DAY_MS = 86_400_000;

/**
 * Issues a certificate for `localhost` and 127.0.0.1, valid for a week, signed by an authority made for
 * the occasion.
 * @param {string} folder gets the files
 * @param {import('./account.mjs').Account | undefined} account owner of the files
 * @returns {Promise<Certificates>}
 */
export async function issueCertificates(folder, account) {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'replicaverse test authority';
  const caCertificate = certificate({ subject: issuer, issuer, key: authority.publicKey, signer: authority, isAuthority: true });
  const serverCertificate = certificate({ subject: 'localhost', issuer, key: server.publicKey, signer: authority, isAuthority: false });
  const files = {
    'test-ca.crt': caCertificate,
    'server.crt': serverCertificate,
    'server.key': server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), content, { mode: 0o600 });
    await handOverFile(path.join(folder, name), account);
  }
  return {
    caFile: path.join(folder, 'test-ca.crt'),
    settings: { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' },
  };
}

/**
 * @typedef {object} CertificateRequest
 * @property {string} subject common name
 * @property {string} issuer common name
 * @property {import('node:crypto').KeyObject} key the subject's public key
 * @property {{publicKey: import('node:crypto').KeyObject, privateKey: import('node:crypto').KeyObject}} signer
 * @property {boolean} isAuthority
 */

/**
 * An X.509 version 3 certificate in PEM.
 * @param {CertificateRequest} request
 * @returns {string}
 */
function certificate({ subject, issuer, key, signer, isAuthority }) {
  const ecdsaWithSha256 = sequence(oid([42, 134, 72, 206, 61, 4, 3, 2]));
  const now = Date.now();
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + 7 * DAY_MS))),
    commonName(subject),
    key.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions(isAuthority, key, signer.publicKey))),
  );
  const signature = sign('sha256', body, signer.privateKey);
  const der = sequence(body, ecdsaWithSha256, bitString(signature, 0));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/**
 * @param {boolean} isAuthority
 * @param {import('node:crypto').KeyObject} key
 * @param {import('node:crypto').KeyObject} issuerKey
 */
function extensions(isAuthority, key, issuerKey) {
  const identifiers = [
    extension(14, false, tagged(0x04, keyIdentifier(key))),
    extension(35, false, sequence(tagged(0x80, keyIdentifier(issuerKey)))),
  ];
  if (isAuthority) {
    const signCertificates = bitString(Buffer.from([0b0000_0110]), 1);
    return [extension(19, true, sequence(tagged(0x01, Buffer.from([0xff])))), extension(15, true, signCertificates), ...identifiers];
  }
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])));
  const signatures = bitString(Buffer.from([0b1000_0000]), 7);
  const serverAuthentication = sequence(oid([43, 6, 1, 5, 5, 7, 3, 1]));
  return [
    extension(19, true, sequence()),
    extension(15, true, signatures),
    extension(37, false, serverAuthentication),
    extension(17, false, names),
    ...identifiers,
  ];
}

/**
 * @param {number} number last part of the extension's object identifier under 2.5.29
 * @param {boolean} critical
 * @param {Buffer} value
 */
function extension(number, critical, value) {
  const flag = critical ? [tagged(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid([85, 29, number]), ...flag, tagged(0x04, value));
}

/** @param {import('node:crypto').KeyObject} key */
function keyIdentifier(key) {
  return createHash('sha1').update(key.export({ type: 'spki', format: 'der' })).digest();
}

/** @param {string} name */
function commonName(name) {
  return sequence(tagged(0x31, sequence(oid([85, 4, 3]), tagged(0x0c, Buffer.from(name)))));
}

/** @param {Date} date */
function time(date) {
  // Two digits of the year: right until 2049, and required by the standard until then.
  return tagged(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\.\d+/g, '').slice(2)}`));
}

/**
 * @param {number} tag
 * @param {Buffer} content
 */
function explicit(tag, content) {
  return tagged(0xa0 + tag, content);
}

/** @param {number[]} bytes the encoded identifier */
function oid(bytes) {
  return tagged(0x06, Buffer.from(bytes));
}

/** @param {Buffer} bytes */
function integer(bytes) {
  return tagged(0x02, bytes);
}

/**
 * @param {Buffer} bytes
 * @param {number} unused bits at the end
 */
function bitString(bytes, unused) {
  return tagged(0x03, Buffer.concat([Buffer.from([unused]), bytes]));
}

/** @param {Buffer[]} parts */
function sequence(...parts) {
  return tagged(0x30, Buffer.concat(parts));
}

/**
 * One DER element: tag, length, content.
 * @param {number} tag
 * @param {Buffer} content
 */
function tagged(tag, content) {
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}
