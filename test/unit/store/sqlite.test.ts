import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../../src/store/sqlite.ts';
import { folder } from '../../support/store.ts';

test('a system that cannot load the binary of SQLite gets the requirements as a hint', () => {
  const nativeBinding = join(folder(), 'broken.node');
  writeFileSync(nativeBinding, 'no program');
  assert.throws(() => openDatabase(':memory:', { nativeBinding }), {
    code: 'SYSTEM_UNSUPPORTED',
    message: /^better-sqlite3 cannot be loaded: .*broken\.node/,
    hint: /glibc 2\.34 or later/,
  });
});
