// Run by the release workflow: checks the tag, and gives every published package the version and the repository.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from './package-entries.mjs';

const HELP = `Usage: node scripts/release-manifests.mjs --tag v1.2.3 --repository owner/name

Fails when the tag does not name the version of package.json. Writes the version into npm/*/package.json, and the
repository, which npm compares with the origin of a build that is published with provenance, into all packages.
The platform packages are entered into optionalDependencies afterwards, by \`napi pre-publish\`.`;

try {
  const { values } = parseArgs({
    options: { tag: { type: 'string' }, repository: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) console.log(HELP);
  else if (values.tag === undefined || values.repository === undefined) throw new Error(HELP);
  else writeManifests(values.tag, values.repository);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/**
 * @param {string} tag
 * @param {string} repository
 */
function writeManifests(tag, repository) {
  const main = join(packageRoot, 'package.json');
  const version = String(readManifest(main).version);
  if (tag !== `v${version}`) throw new Error(`the tag ${tag} does not name the version in package.json, ${version}`);
  const platforms = readdirSync(join(packageRoot, 'npm')).map((name) => join(packageRoot, 'npm', name, 'package.json'));
  for (const path of [main, ...platforms]) {
    const manifest = readManifest(path);
    manifest.version = version;
    manifest.repository = { type: 'git', url: `git+https://github.com/${repository}.git` };
    writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  }
}

/**
 * @param {string} path
 * @returns {Record<string, unknown>}
 */
function readManifest(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
