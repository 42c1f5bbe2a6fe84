import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { loadConfig } from '../../src/config/load-config.ts';
import { tempFolder } from '../support/folder.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map((name) => join(root, name)),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, 'docs', name)),
];

interface Block {
  language: string;
  line: number;
  text: string;
}

/** Fenced blocks of a page, without the indentation of their fence. */
function blocks(page: string): Block[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)].map((match) => {
    const [, indent = '', language = '', content = ''] = match;
    return {
      language,
      line: text.slice(0, match.index).split('\n').length,
      text: content.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    };
  });
}

describe('the documentation', () => {
  let folder: string;
  before(() => {
    folder = tempFolder();
  });

  for (const page of pages) {
    const name = relative(root, page);
    for (const { language, line, text } of blocks(page)) {
      // Home Assistant's automations are YAML too.
      if (language !== 'yaml' || text.startsWith('automation:')) continue;
      test(`${name}:${line} is a valid configuration`, () => {
        const file = join(folder, 'lookout.yaml');
        writeFileSync(file, text);
        loadConfig({ file, env: { CREDENTIALS_DIRECTORY: folder } });
      });
    }

    test(`the links of ${name} lead somewhere`, () => {
      const text = readFileSync(page, 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
        assert.ok(existsSync(resolve(dirname(page), target)), target);
      }
    });
  }

  test('every page is in the index', () => {
    const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
    for (const page of readdirSync(join(root, 'docs'))) {
      if (page.endsWith('.md') && page !== 'README.md') assert.match(index, new RegExp(`\\(${page}\\)`));
    }
  });

  test('every file and folder that the architecture page names exists', () => {
    const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
    for (const [, path = ''] of text.matchAll(/`((?:src|test)\/[\w./-]*)`/g)) {
      if (!/NAME|-N\./.test(path)) assert.ok(existsSync(join(root, path)), path);
    }
  });

  test('the README opens with the two commands, and they exist', () => {
    const [first] = blocks(join(root, 'README.md'));
    const commands = first?.text.split('\n').map((text) => text.replace(/\s*#.*/, ''));
    assert.deepEqual(commands, ['npm ci && npm start', 'npm ci && npm test', '']);
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    assert.ok(scripts.start && scripts.test);
  });

  test('the configuration that scripts/install.sh brings is valid', () => {
    const { config } = loadConfig({ file: join(root, 'config/lookout.yaml'), env: {} });
    assert.equal(config.data_dir, '/var/lib/lookout');
  });
});
