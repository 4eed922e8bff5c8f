// Certificates of test servers.
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { issueCertificates } from '../../support/certificate.mjs';

it('a server certificate is for localhost and 127.0.0.1 and signed by the authority', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'certificate-test-'));
  try {
    const { caFile } = await issueCertificates(folder, undefined);
    const authority = new X509Certificate(await readFile(caFile));
    const server = new X509Certificate(await readFile(path.join(folder, 'server.crt')));
    expect(server.checkHost('localhost')).toBe('localhost');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.checkHost('example.org')).toBeUndefined();
    expect(server.checkIssued(authority)).toBe(true);
    expect(server.verify(authority.publicKey)).toBe(true);
    expect(server.ca).toBe(false);
    expect(authority.ca).toBe(true);
    expect(Date.parse(server.validFrom)).toBeLessThan(Date.now());
    expect(Date.parse(server.validTo)).toBeGreaterThan(Date.now());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
