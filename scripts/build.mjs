// `npm run build`: makes the native addon and dist/.
import { parseArgs } from 'node:util';
import { buildAddon, buildLibrary } from './build-products.mjs';
import { prepare } from './prepare.mjs';

const HELP = `Usage: npm run build -- [options]

Builds the native addon (replicaverse.<platform>.node, native.d.ts) and compiles lib/ to dist/.

  --addon        only the addon
  --lib          only dist/
  --debug        the addon with Cargo's dev profile, which compiles faster and runs slower
  --if-stale     check the tools, install npm packages, and build only what is missing or older than its sources
  --help         this text`;

try {
  const { values } = parseArgs({
    options: {
      addon: { type: 'boolean', default: false },
      lib: { type: 'boolean', default: false },
      debug: { type: 'boolean', default: false },
      'if-stale': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const both = values.addon === values.lib;
  if (values.help) console.log(HELP);
  else if (values['if-stale']) await prepare({ log: console.log, profile: values.debug ? 'debug' : undefined });
  else {
    if (both || values.addon) await buildAddon(values.debug ? 'debug' : 'release');
    if (both || values.lib) await buildLibrary();
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
