import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiId, canonical, deviceId, topicLevel } from '../../../src/publish/topic-names.ts';
import { Seeded } from '../../support/random.ts';

/** Names that look alike or are hard to handle: scripts, marks, wildcards, controls, and texts like our own hashes. */
const PIECES = [
  ...[
    'a',
    'A',
    'b',
    'B',
    '1',
    '_',
    '-',
    '.',
    '~',
    ' ',
    '  ',
    '/',
    '+',
    '#',
    '$',
    '&',
    "'",
    '"',
    '\\',
    '%',
    '*',
  ],
  ...[
    'ä',
    'a\u0308',
    'ß',
    'é',
    'e\u0301',
    'ñ',
    'ø',
    'İ',
    'ı',
    'Ⅷ',
    'ﬁ',
    '½',
    '猫',
    '犬',
    '고',
    'か',
    'が',
    'か\u3099',
  ],
  ...[
    '\0',
    '\n',
    '\t',
    '\u007f',
    '\u0085',
    '\u00a0',
    '\u200b',
    '\u200d',
    '\u202e',
    '\u2028',
    '\ufeff',
    '\uffff',
  ],
  ...['🐈', '🧑‍🌾', 'עברית', 'العربية', 'हिन्दी', 'status', 'cat', 'X1A2B3C4', '~1a2b3c4d', '.1a2b3c4d'],
];

function randomName(random: Seeded): string {
  return Array.from({ length: random.int(0, 4) }, () => random.pick(PIECES)).join('');
}

/** Many names, no two of them equal. */
function names(seed: number, count: number): string[] {
  const random = new Seeded(seed);
  return [...new Set(Array.from({ length: count }, () => canonical(randomName(random))))];
}

test('plain names stay unchanged in all scripts', () => {
  for (const name of [
    'cat',
    'Cat',
    'A&B',
    'status_2',
    'Käfer',
    '猫',
    'собака',
    'हिन्दी',
    '🐈',
    "crow's-nest",
  ]) {
    assert.equal(topicLevel(name), name);
  }
  for (const name of ['cat', 'Cat', 'big_cat', 'big-cat', '7']) assert.equal(asciiId(name), name);
});

test('forbidden characters are replaced, and a hash distinguishes names that look the same afterwards', () => {
  assert.match(topicLevel('A+B'), /^A_B~[0-9a-f]{8}$/);
  assert.match(topicLevel('car, auto'), /^car,_auto~[0-9a-f]{8}$/);
  assert.notEqual(topicLevel('A+B'), topicLevel('A/B'));
  assert.match(topicLevel(''), /^~[0-9a-f]{8}$/);
  assert.match(topicLevel('status', ['status']), /^status~[0-9a-f]{8}$/);
  assert.match(asciiId('Käfer'), /^Kafer\.[0-9a-f]{8}$/);
  assert.match(asciiId('猫'), /^_\.[0-9a-f]{8}$/);
  assert.notEqual(asciiId('猫'), asciiId('犬'));
});

test('a name is the same however its accents were typed', () => {
  for (const [composed, decomposed] of [
    ['Käfer', 'Ka\u0308fer'],
    ['が', 'か\u3099'],
  ] as const) {
    assert.equal(topicLevel(composed), topicLevel(decomposed));
    assert.equal(asciiId(composed), asciiId(decomposed));
  }
});

test('any two names have different levels and ids, and these are valid', () => {
  const all = names(11, 40_000);
  assert.ok(all.length > 15_000);
  const reserved = ['status', 'cat'];
  const levels = new Map<string, string>();
  const ids = new Map<string, string>();
  for (const name of all) {
    const [level, id] = [topicLevel(name, reserved), asciiId(name)];
    assert.equal(levels.get(level), undefined, `${JSON.stringify([levels.get(level), name])} share ${level}`);
    assert.equal(ids.get(id), undefined, `${JSON.stringify([ids.get(id), name])} share ${id}`);
    levels.set(level, name);
    ids.set(id, name);
    assert.doesNotMatch(level, /[/+#$\0-\x20\x7f-\xa0]|[\p{C}\p{Z}]|^$/u);
    assert.ok(!reserved.includes(level));
    assert.equal(level, level.toWellFormed());
    assert.match(id, /^[a-zA-Z0-9_.-]+$/);
  }
});

test('long names are cut, and distinguished by a hash', () => {
  const long = '猫'.repeat(5000);
  assert.ok([...topicLevel(long)].length < 80);
  assert.ok(asciiId('x'.repeat(5000)).length < 80);
  assert.notEqual(topicLevel(`${long}a`), topicLevel(`${long}b`));
  assert.notEqual(asciiId(`${'x'.repeat(64)}a`), asciiId(`${'x'.repeat(64)}b`));
});

test('devices have different ids unless base and name are the same, in characters that Home Assistant accepts', () => {
  assert.equal(deviceId('lookout', 'garden'), 'lookout_garden');
  assert.equal(deviceId('lookout', 'front_yard'), 'lookout_front_yard');
  assert.notEqual(deviceId('a_b', 'c'), deviceId('a', 'b_c'));
  assert.notEqual(deviceId('a-b', 'c'), deviceId('a', 'b-c'));
  assert.notEqual(deviceId('a/b', 'c'), deviceId('a_b', 'c'));
  const random = new Seeded(5);
  const bases = ['a', 'b', '_', '-', '/', 'A', 'é', '猫', 'x1a2b3c4', 'X1A2B3C4'];
  const devices = ['a', 'b', '_', '-', 'x1a2b3c4'];
  const word = (pieces: string[]) =>
    Array.from({ length: random.int(1, 4) }, () => random.pick(pieces)).join('');
  const seen = new Map<string, string>();
  for (let i = 0; i < 20_000; i++) {
    const [base, device] = [word(bases), word(devices)];
    const id = deviceId(base, device);
    assert.match(id, /^[a-zA-Z0-9_-]+$/);
    const whole = JSON.stringify([base, device]);
    assert.equal(seen.get(id) ?? whole, whole, id);
    seen.set(id, whole);
  }
});
