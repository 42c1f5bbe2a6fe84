import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../../src/config/load-config.ts';

const folder = new URL('../../../config/examples/', import.meta.url);

for (const name of readdirSync(folder)) {
  test(`config/examples/${name} is a valid configuration`, () => {
    const file = fileURLToPath(new URL(name, folder));
    assert.equal(loadConfig({ file, env: {} }).file, file);
  });
}
