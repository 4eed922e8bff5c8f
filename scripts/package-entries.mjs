// The package as package.json describes it: its folder, its manifest and its importable entries.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the package. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} version
 * @property {Record<string, string | { require: { default: string } }>} exports
 * @property {{ binaryName: string, packageName: string, targets: string[] }} napi
 */

/**
 * @typedef {object} PackageEntry
 * @property {string} specifier what an application imports, as in `replicaverse/orm`
 * @property {string} name the base name of its files in dist/, as in `orm`
 */

/**
 * The parsed package.json.
 *
 * @returns {Manifest}
 */
export function packageManifest() {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
}

/**
 * Every importable entry of the package. `exports` in package.json is the one place that lists them;
 * `./package.json` is not an entry.
 *
 * @returns {PackageEntry[]}
 */
export function packageEntries() {
  const manifest = packageManifest();
  return Object.entries(manifest.exports).flatMap(([path, target]) => {
    if (typeof target === 'string') return [];
    const name = /^\.\/dist\/([\w-]+)\.js$/.exec(target.require.default)?.[1];
    if (name === undefined) throw new Error(`package.json: the entry ${path} must lie directly in dist/`);
    return [{ specifier: path.replace(/^\./, manifest.name), name }];
  });
}
