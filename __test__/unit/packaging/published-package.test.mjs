// What is published: the files, the entries with their types, and the platform packages.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageEntries, packageManifest } from '../../../scripts/package-entries.mjs';
import { builtAddon, createApplication, packedFiles, ROOT } from './installed-package.mjs';

const run = promisify(execFile);

/** The published files besides dist/. */
const FILES_BESIDES_DIST = ['CHANGELOG.md', 'LICENSE', 'README.md', 'native.d.ts', 'package.json'];

/** The types that an application of pg-multiverse may name. */
const TYPES_OF_PG_MULTIVERSE = `QueryParam QueryField QueryResult DatabaseConnection SSLConfig MultiClusterConfig ClusterManagerConfig CacheConfig
  RedisConfig RedisClusterNode RedisSentinelNode ConsistencyLevel ReadPreference OperationType ClusterConfig ClustersConfig ShardingConfig
  RangePartition LoadBalancingStrategy LoadBalancingConfig ConnectionPoolConfig SchemaMapping CacheStrategy QueryOptions PreparedQuery
  TransactionOptions TransactionCallback TransactionContext DistributedTransactionState CacheEntry CacheStats CacheInvalidationCriteria
  ClusterHealth ClusterMetrics SystemMetrics TransactionMetrics MultiClusterEvents LoadBalancerNode LoadBalancerStats ValidationResult
  ConnectionTestResult TypedEventEmitter Migration MigrationContext MigrationFunction MigrationLogger MigrationRecord MigrationState
  MigrationConfig MigrationExecutionOptions MigrationRollbackOptions MigrationStatus MigrationManagerEvents CacheProvider CacheSetOptions
  CacheProviderConfig`.split(/\s+/);

/** @type {string[]} */
let files;
/** @type {Awaited<ReturnType<typeof createApplication>>} */
let application;

beforeAll(async () => {
  files = await packedFiles();
  application = await createApplication(files);
  await application.installPlatformPackage(builtAddon.platform);
});

afterAll(() => application.remove());

test('the package holds dist/, the declarations of the addon and the usual texts, and nothing else', () => {
  const besides = files.filter((file) => !/^dist\/[\w/-]+\.(js|mjs|d\.ts|d\.mts|js\.map)$/.test(file));
  expect(besides.filter((file) => !FILES_BESIDES_DIST.includes(file))).toEqual([]);
  expect(files).toContain('native.d.ts');
  expect(files).toContain('LICENSE');
});

test('every entry is there as ES module and as CommonJS, each with types', () => {
  for (const { name } of packageEntries()) {
    for (const extension of ['js', 'd.ts', 'mjs', 'd.mts']) expect(files).toContain(`dist/${name}.${extension}`);
  }
});

test('no published file names a folder of this machine', () => {
  const texts = files.filter((file) => readFileSync(join(ROOT, file), 'utf8').includes(ROOT));
  expect(texts).toEqual([]);
});

test('an application type-checks against every entry, as CommonJS, as ES module and with a bundler', async () => {
  const specifiers = packageEntries().map(({ specifier }) => specifier);
  const imports = specifiers.map((specifier, index) => `import * as entry${index} from '${specifier}';`);
  const uses = specifiers.map((_, index) => `export type Entry${index} = typeof entry${index};`);
  for (const from of ['replicaverse', 'replicaverse/types']) {
    const renamed = TYPES_OF_PG_MULTIVERSE.map((name) => `${name} as ${name}${uses.length}`);
    uses.push(`export type { ${renamed.join(', ')} } from '${from}';`);
  }
  const source = [...imports, ...uses, ''].join('\n');
  await writeFile(join(application.folder, 'application.cts'), source);
  await writeFile(join(application.folder, 'application.mts'), source);
  await writeFile(join(application.folder, 'application.ts'), source);
  await mkdir(join(application.folder, 'node_modules', '@types'), { recursive: true });
  await symlink(join(ROOT, 'node_modules/@types/node'), join(application.folder, 'node_modules/@types/node'), 'junction');
  await symlink(join(ROOT, 'node_modules/undici-types'), join(application.folder, 'node_modules/undici-types'), 'junction');
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const strict = [compiler, '--noEmit', '--strict', '--types', 'node', '--target', 'es2022'];
  const checks = [
    ['--module', 'node16', 'application.cts', 'application.mts'],
    ['--module', 'esnext', '--moduleResolution', 'bundler', 'application.ts'],
  ];
  for (const check of checks) {
    const outcome = await run(process.execPath, [...strict, ...check], { cwd: application.folder }).catch(
      (/** @type {{ stdout: string }} */ { stdout }) => ({ stdout }),
    );
    expect(outcome.stdout).toBe('');
  }
}, 120_000);

test('publint finds nothing wrong', async () => {
  const { publint } = await import('publint');
  const { messages } = await publint({ pkgDir: application.installed, pack: false, strict: true });
  expect(messages.filter(({ type }) => type !== 'suggestion')).toEqual([]);
});

test('every target has its platform package, of the same version, and the other way round', () => {
  const { version, napi } = packageManifest();
  const platforms = napi.targets.map(platformOfTarget).sort();
  expect(readdirSync(join(ROOT, 'npm')).sort()).toEqual(platforms);
  for (const platform of platforms) {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'npm', platform, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({
      name: `${napi.packageName}-${platform}`,
      version,
      main: `${napi.binaryName}.${platform}.node`,
      files: [`${napi.binaryName}.${platform}.node`],
    });
    expect(existsSync(join(ROOT, 'npm', platform, 'README.md'))).toBe(true);
  }
});

test('the loader knows the same platforms as the targets', async () => {
  const { PUBLISHED_PLATFORMS } = await import('../../../dist/native-loading/host.js');
  expect([...PUBLISHED_PLATFORMS].sort()).toEqual(packageManifest().napi.targets.map(platformOfTarget).sort());
});

test('a clone can be installed: no platform package is a dependency before the release', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(manifest).not.toHaveProperty('optionalDependencies');
  const ours = Object.keys(manifest.dependencies).filter((name) => name.startsWith(manifest.napi.packageName));
  expect(ours).toEqual([]);
});

/** @param {string} triple */
function platformOfTarget(triple) {
  const [machine, vendor, system, environment] = triple.split('-');
  const arch = machine === 'aarch64' ? 'arm64' : 'x64';
  if (vendor === 'apple') return `darwin-${arch}`;
  return `${system === 'windows' ? 'win32' : system}-${arch}-${environment}`;
}
