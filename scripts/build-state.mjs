// Says whether something built is up to date: a fingerprint of its sources, kept from the build that made it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { packageRoot } from './package-entries.mjs';

const RECORDS = join(packageRoot, 'node_modules', '.cache', 'replicaverse');

/**
 * @typedef {object} Product
 * @property {string} name
 * @property {readonly string[]} sources files and folders, relative to the package
 * @property {() => boolean} exists whether its files are there at all
 */

/**
 * The fingerprint of the sources as they are now. It is taken before a build, so that a file saved during the build
 * makes the product stale.
 *
 * @param {Product} product
 * @returns {string}
 */
export function fingerprint(product) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const path of product.sources.flatMap(filesAt)) {
    hash.update(`\0${relative(packageRoot, path).replaceAll('\\', '/')}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/**
 * Whether the product was built from the sources as they are now.
 *
 * @param {Product} product
 * @param {string} [variant] required variant, such as `release`; any is good when it is not given
 */
export function isUpToDate(product, variant) {
  const record = join(RECORDS, product.name);
  if (!product.exists() || !existsSync(record)) return false;
  const [builtFrom, builtVariant] = readFileSync(record, 'utf8').trim().split(' ');
  return builtFrom === fingerprint(product) && (variant === undefined || variant === builtVariant);
}

/**
 * Keeps the fingerprint that the sources had when the build began.
 *
 * @param {Product} product
 * @param {string} builtFrom
 * @param {string} variant
 */
export function recordBuild(product, builtFrom, variant) {
  mkdirSync(RECORDS, { recursive: true });
  writeFileSync(join(RECORDS, product.name), `${builtFrom} ${variant}\n`);
}

/**
 * @param {string} path
 * @returns {string[]} the file, or all files below the folder, in a stable order
 */
function filesAt(path) {
  const absolute = join(packageRoot, path);
  if (!existsSync(absolute)) return [];
  if (statSync(absolute).isFile()) return [absolute];
  return readdirSync(absolute, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      // Build folders of single crates hold no sources.
      if (entry.isDirectory()) return entry.name === 'target' ? [] : filesAt(join(path, entry.name));
      return entry.isFile() ? [join(absolute, entry.name)] : [];
    });
}
