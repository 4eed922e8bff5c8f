// Writes dist/<entry>.mjs and .d.mts: ES modules that re-export the CommonJS entry, so that both hold the same classes.
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageEntries, packageRoot } from './package-entries.mjs';

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const require = createRequire(import.meta.url);

/**
 * Writes the wrappers of all entries and gives their paths. The compiled CommonJS files and a loadable addon must be
 * there.
 */
export async function writeEsmWrappers() {
  const written = [];
  for (const { name } of packageEntries()) {
    const { names, defaultName } = exportsOf(name);
    const modulePath = join(packageRoot, 'dist', `${name}.mjs`);
    const declarationPath = join(packageRoot, 'dist', `${name}.d.mts`);
    await writeFile(modulePath, moduleText(name, names, defaultName));
    await writeFile(declarationPath, declarationText(name, defaultName));
    written.push(modulePath, declarationPath);
  }
  return written;
}

/**
 * The names that the CommonJS entry exports. Its default must also be exported by name: types reach the default of a
 * CommonJS module differently from an ES module, and the name is the way that is the same for both.
 *
 * @param {string} entry
 * @returns {{ names: string[], defaultName: string | undefined }}
 */
function exportsOf(entry) {
  const exported = /** @type {Record<string, unknown>} */ (require(join(packageRoot, 'dist', `${entry}.js`)));
  const names = Object.keys(exported).filter((name) => name !== 'default' && IDENTIFIER.test(name));
  if (!('default' in exported)) return { names, defaultName: undefined };
  const defaultName = names.find((name) => exported[name] === exported.default);
  if (defaultName === undefined) throw new Error(`lib/${entry}.ts: its default export needs a named export as well`);
  return { names, defaultName };
}

/**
 * The names are listed, and not reached through the default import of the CommonJS module, because bundlers and test
 * runners disagree with Node.js about what that default import is.
 *
 * @param {string} entry
 * @param {string[]} names
 * @param {string | undefined} defaultName
 */
function moduleText(entry, names, defaultName) {
  if (names.length === 0) return 'export {};\n';
  const exported = defaultName === undefined ? names : [...names, `${defaultName} as default`];
  return `export {\n${exported.map((name) => `  ${name},\n`).join('')}} from './${entry}.js';\n`;
}

/**
 * @param {string} entry
 * @param {string | undefined} defaultName
 */
function declarationText(entry, defaultName) {
  const lines = [
    `export * from './${entry}.js';`,
    ...(defaultName === undefined ? [] : [`export { ${defaultName} as default } from './${entry}.js';`]),
  ];
  return `${lines.join('\n')}\n`;
}
