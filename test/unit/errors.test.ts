import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERROR_CODES, EXIT, LookoutError, messageOf } from '../../src/errors.ts';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(/^\| `?([A-Z][A-Z0-9_]+)`? \|(.*)\|(.*)\|$/gm)].map(
  ([, code = '', meaning = '', remedy = '']) => ({ code, meaning: meaning.trim(), remedy: remedy.trim() }),
);
const documented = rows.map((row) => row.code);

test('every error code is explained in docs/errors.md, and nothing else is', () => {
  assert.deepEqual([...documented].sort(), Object.keys(ERROR_CODES).sort());
});

test('the table of errors is in alphabetical order, each code once', () => {
  assert.deepEqual(documented, [...new Set(documented)].sort());
});

test('each error says what it means and what to do', () => {
  for (const { code, meaning, remedy } of rows) {
    assert.ok(meaning.length > 10 && remedy.length > 10, `${code} needs a meaning and a remedy`);
  }
});

test('every exit code is explained in docs/errors.md', () => {
  for (const code of Object.values(EXIT)) assert.match(page, new RegExp(`^\\| ${code} \\|`, 'm'));
});

test('an error carries its code, its hint, its cause and the exit code of its kind', () => {
  const cause = new Error('ENOENT');
  const error = new LookoutError('CONFIG_UNREADABLE', 'cannot read a.yaml', { cause, hint: 'create it' });
  assert.equal(error.exitCode, 78);
  assert.equal(error.hint, 'create it');
  assert.equal(error.cause, cause);
  assert.equal(messageOf(error), 'cannot read a.yaml');
  assert.equal(messageOf('plain'), 'plain');
});
