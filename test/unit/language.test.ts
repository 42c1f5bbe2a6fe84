/**
 * Refuses words that a reader would not search for, in the documentation and in the messages, comments and names of the
 * code. The glossary of CONTRIBUTING has the words to use instead.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** What not to write, as a regular expression, and what to write instead. */
const BANNED: readonly (readonly [words: string, instead: string])[] = [
  ['anew|afresh', 'again, reload, restart'],
  ['aloud', 'with a log message'],
  ['pass(es|ed) over', 'skip'],
  ['(is|are|was|were|be|been) told', 'log, publish, report, show'],
  ['told right', 'accuracy'],
  ['of late', 'recently'],
  ['the house', 'your home automation'],
  ['thrift|thrifty', 'throttle'],
  ['heed(s|ed)?', 'handle, watch'],
  ['let(s|ting)? go of', 'release'],
  ['put(s|ting)? right', 'fix, correct'],
  ['(?<!there )is none(?! (else|of))', 'is not a valid …, is invalid'],
  ['(no|not) sound', 'not valid'],
  ['comes? to nothing', 'fail'],
  ['comes? about', 'is created'],
  ['(is|are|was|were|be) to be had|not to be had', 'available, unavailable'],
  ['look(s|ed)? at by|(is|are|was|were|be|been) looked at', 'analyse, check, inspect'],
  ['ha(s|ve) it coming', 'is scheduled'],
  ['made sure of', 'synced, confirmed'],
];

/** A text as one line in lower case: words of identifiers apart, without what begins the lines of a comment. */
function plain(text: string): string {
  return text
    .replaceAll(/\n\s*(\*|\/\/)\s?/g, ' ')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/\s+/g, ' ')
    .toLowerCase();
}

/** The banned words of a text, each with what stands around it and what to write instead. */
function banned(text: string): string[] {
  const line = plain(text);
  return BANNED.flatMap(([words, instead]) =>
    [...line.matchAll(new RegExp(`\\b(${words})\\b`, 'g'))].map(
      ({ index, 0: found }) =>
        `${line.slice(Math.max(0, index - 30), index + found.length + 20)}  → ${instead}`,
    ),
  );
}

test('a banned word is found in sentences, across lines of a comment and in names', () => {
  assert.equal(banned('The file is read anew. Lets go\n * of it.').length, 2);
  assert.equal(banned('const readAnew = 1;').length, 1);
  assert.deepEqual(banned('The renewal is retried; none is lost.'), []);
});

describe('plain words', () => {
  const pages = globSync(['*.md', 'docs/*.md', 'models/*.md', 'scripts/**/*.md'], { cwd: root });
  for (const page of pages.sort()) {
    test(`are used in ${page}`, () => {
      assert.deepEqual(banned(readFileSync(join(root, page), 'utf8')), []);
    });
  }

  for (const folder of ['src', 'scripts', 'systemd', 'config', 'test/unit/{commands,config,doctor}']) {
    test(`are used in the messages, comments and names of ${folder}`, () => {
      const files = globSync(`${folder}/**/*.{ts,sh,service,sysusers,tmpfiles,yaml,json}`, {
        cwd: root,
      });
      const found = files.sort().flatMap((file) => {
        return banned(readFileSync(join(root, file), 'utf8')).map((words) => `${file}: ${words}`);
      });
      assert.deepEqual(found, []);
    });
  }
});
