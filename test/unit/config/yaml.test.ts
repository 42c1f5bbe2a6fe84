import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readYaml } from '../../../src/config/yaml.ts';

const problem = (text: string) => {
  const { value, problems } = readYaml(text);
  assert.equal(value, undefined);
  assert.equal(problems.length, 1, JSON.stringify(problems));
  return problems[0]!;
};

describe('readYaml', () => {
  it('rejects tags of other programs with their line, also inside lists', () => {
    for (const [text, line, tag] of [
      ['device: !secret name', 1, '!secret'],
      ['a: 1\nb: !include other.yaml', 2, '!include'],
      ['a:\n  - 1\n  - !env_var NAME', 3, '!env_var'],
      ['a: { b: !lambda "x" }', 1, '!lambda'],
      ['!config\na: 1', 1, '!config'],
    ] as const) {
      const found = problem(text);
      assert.equal(found.line, line, text);
      assert.ok(found.message.includes(`unsupported YAML tag ${tag}.`), found.message);
    }
    assert.deepEqual(readYaml('a: !!str 5').value, { a: '5' });
  });

  it('merges the keys of anchors', () => {
    const text = 'a: &base { x: 1, y: 2 }\nb:\n  <<: *base\n  y: 3\nc: { <<: [*base, { z: 4 }] }';
    assert.deepEqual(readYaml(text).value, { a: { x: 1, y: 2 }, b: { x: 1, y: 3 }, c: { x: 1, y: 2, z: 4 } });
    assert.match(problem('<<: 5').message, /[Mm]erge/);
  });

  it('keeps the spelling of keys that look like something else', () => {
    const keys = ['007', '1e3', '0x10', 'true', '~', '2024-01-01', 'null', '1.50', 'on', 'no'];
    const { value } = readYaml(keys.map((key) => `${key}: x`).join('\n'));
    assert.deepEqual(Object.keys(value as object), keys);
    assert.match(problem('{ a: 1 }: x').message, /expected a name/);
    assert.match(problem('? [a, b]\n: x').message, /expected a name/);
  });

  it('finds the line of a key in any spelling', () => {
    const { lineOf } = readYaml('a: 1\n007:\n  b: 2');
    assert.equal(lineOf(['007', 'b']), 3);
    assert.equal(lineOf(['007', 'absent']), 2);
    assert.equal(lineOf(['absent']), null);
  });

  it('rejects a second document in one text', () => {
    const found = problem('a: 1\n---\nb: 2');
    assert.equal(found.line, 2);
    assert.match(found.message, /expected one YAML document, found a second one/);
    assert.deepEqual(readYaml('---\na: 1\n...\n').value, { a: 1 });
  });

  it('rejects groups that contain themselves, and endless aliases', () => {
    assert.match(problem('x: &a [*a]').message, /alias/);
    assert.match(problem('x: &a { y: { z: *a } }').message, /alias/);
    const levels = Array.from({ length: 12 }, (_, n) =>
      n === 0
        ? 'l0: &l0 [x]'
        : `l${n}: &l${n} [${Array(9)
            .fill(`*l${n - 1}`)
            .join(', ')}]`,
    );
    assert.match(problem(levels.join('\n')).message, /alias/i);
    assert.match(problem('a: *missing').message, /alias/);
  });
});
