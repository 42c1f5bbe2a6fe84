import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface LockedPackage {
  version?: string;
  optionalDependencies?: Record<string, string>;
}

const read = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
const { packages } = read('package-lock.json') as { packages: Record<string, LockedPackage> };
const manifest = read('package.json') as Record<'dependencies' | 'devDependencies', Record<string, string>>;

const paths = Object.keys(packages);

test('the lock file has the optional packages of every platform, without which npm 11 refuses it', () => {
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !paths.some((path) => path.endsWith(`node_modules/${name}`)));
  assert.deepEqual(missing, [], 'npm leaves out what its registry could not give; take the entries from git');
});

test('the binaries for both processors load with the C library that docs/install.md asks for', () => {
  const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'latin1');
  const promised = /glibc\s+2\.(\d+) or later/.exec(file('docs/install.md'))?.[1];
  for (const processor of ['x64', 'arm64']) {
    const onnxRuntime = `node_modules/onnxruntime-node/bin/napi-v6/linux/${processor}`;
    for (const binary of [
      `node_modules/better-sqlite3/prebuilds/linux-${processor}.node`,
      `${onnxRuntime}/onnxruntime_binding.node`,
      `${onnxRuntime}/libonnxruntime.so.1`,
    ]) {
      const needed = [...file(binary).matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      assert.ok(needed.length > 0, binary);
      assert.ok(Math.max(...needed) <= Number(promised), `${binary} needs 2.${Math.max(...needed)}`);
    }
  }
});

test('every direct dependency has an exact version', () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.equal(packages[`node_modules/${name}`]?.version, version, `${name} in package-lock.json`);
  }
});
