/**
 * `npm run archive [FOLDER]`: packs Lookout into one file, `lookout-VERSION.tgz`, that `npm install -g FILE` installs.
 *
 * The archive holds compiled JavaScript, because Node.js strips no types below `node_modules`. It brings ONNX Runtime
 * along, with the binaries for Linux and without the package's install script: on x86-64 that script downloads CUDA
 * libraries which Lookout does not use, and the installation fails where it cannot. npm gets all other packages from
 * the registry, in the versions of the lock file.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Manifest {
  version: string;
  scripts?: unknown;
  devDependencies?: unknown;
  dependencies: Record<string, string>;
  bundleDependencies?: string[];
}

interface LockFile {
  packages: Record<string, { dev?: boolean; inBundle?: boolean; hasInstallScript?: boolean }>;
}

const RUNTIME = 'onnxruntime-node';
/** What ONNX Runtime needs when it runs; its other dependencies serve its install script. */
const COMMON = 'onnxruntime-common';
const CONTENT = [
  ...['CHANGELOG.md', 'LICENSE', 'README.md', 'config', 'docs', 'models', 'systemd'],
  ...['scripts/daemon', 'scripts/install.sh', 'scripts/node'],
];

const root = resolve(import.meta.dirname, '..');
const destination = resolve(process.argv[2] ?? '.');
const stage = mkdtempSync(join(tmpdir(), 'lookout-archive-'));
try {
  for (const path of CONTENT) copy(path);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const project = join(root, 'tsconfig.build.json');
  run(process.execPath, [compiler, '--project', project, '--noCheck', '--outDir', join(stage, 'dist')]);
  writeManifest();
  copyRuntime();
  const name = run('npm', ['pack', stage, '--pack-destination', destination, '--silent']).trim();
  process.stdout.write(`${join(destination, name)}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function writeManifest(): void {
  const { scripts: _scripts, devDependencies: _dev, ...manifest } = read<Manifest>('package.json');
  write('package.json', { ...manifest, bundleDependencies: [RUNTIME] });
  const { packages, ...lock } = read<LockFile>('package-lock.json');
  const kept = Object.entries(packages).filter(([, { dev }]) => !dev);
  write('npm-shrinkwrap.json', { ...lock, packages: Object.fromEntries(kept) });
}

/** ONNX Runtime for Linux, as a package that has nothing to do when it is installed. */
function copyRuntime(): void {
  const runtime = join('node_modules', RUNTIME);
  for (const path of ['README.md', 'dist', 'bin/napi-v6/linux']) copy(join(runtime, path));
  copy(join('node_modules', COMMON), join(runtime, 'node_modules', COMMON));
  const {
    scripts: _scripts,
    devDependencies: _dev,
    dependencies,
    ...manifest
  } = read<Manifest>(join(runtime, 'package.json'));
  write(join(runtime, 'package.json'), { ...manifest, dependencies: { [COMMON]: dependencies[COMMON] } });
}

function copy(path: string, to = path): void {
  cpSync(join(root, path), join(stage, to), { recursive: true });
}

function read<T>(path: string): T {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as T;
}

function write(path: string, content: object): void {
  writeFileSync(join(stage, path), `${JSON.stringify(content, null, 2)}\n`);
}

function run(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
