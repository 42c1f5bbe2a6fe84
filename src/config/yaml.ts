/** Reads YAML 1.2 as settings. What another program could read differently is a problem, with its line. */
import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml';
import { messageOf } from '../errors.ts';

export interface YamlProblem {
  line: number;
  message: string;
}

export interface YamlText {
  /** Undefined if there are problems; null for an empty text. */
  value: unknown;
  problems: YamlProblem[];
  /** The line of the setting at a path, or of the closest enclosing group in the text. */
  lineOf: (path: readonly PropertyKey[]) => number | null;
}

/**
 * Reads one YAML document. Merge keys (`<<`) work and keys keep their spelling (`007` stays `007`). Tags of other programs
 * (`!secret`, `!include`) are problems, because the parser would otherwise use the word after them as the value.
 */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && spelling(a) === spelling(b),
  });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const problems: YamlProblem[] = document.errors.map(({ code, message, pos }) => ({
    line: lineAt(pos[0]),
    message:
      code === 'MULTIPLE_DOCS'
        ? 'expected one YAML document, found a second one after `---`. Put all settings into one document'
        : `not valid YAML: ${message}`,
  }));
  problems.push(...foreignTags(document, lineAt), ...keepKeys(document, lineAt));
  let value: unknown;
  if (problems.length === 0) {
    try {
      const settings: unknown = document.toJS();
      if (containsItself(settings, []))
        throw new Error('an alias (`*name`) is inside its own anchor (`&name`)');
      value = settings;
    } catch (error) {
      problems.push({ line: 1, message: `not valid YAML: ${messageOf(error)}` });
    }
  }
  const lineOf = (path: readonly PropertyKey[]): number | null => {
    for (let depth = path.length; depth > 0; depth--) {
      const offset = keyOffset(document.contents, path.slice(0, depth));
      if (offset !== null) return lineAt(offset);
    }
    return null;
  };
  return { value, problems: problems.sort((a, b) => a.line - b.line), lineOf };
}

/** Problems for tags that YAML itself does not define. */
function foreignTags(document: Document.Parsed, lineAt: (offset: number) => number): YamlProblem[] {
  return document.warnings
    .filter(({ code }) => code === 'TAG_RESOLVE_FAILED')
    .map(({ pos, message }) => {
      const tag = /\S+$/.exec(message)?.[0] ?? 'this tag';
      return {
        line: lineAt(pos[0]),
        message: `unsupported YAML tag ${tag}. Write the value itself, or for a secret use a setting that ends in _file`,
      };
    });
}

/** Restores the spelling of keys that YAML turns into numbers, booleans or null. */
function keepKeys(document: Document.Parsed, lineAt: (offset: number) => number): YamlProblem[] {
  const problems: YamlProblem[] = [];
  visit(document, {
    Pair(_, pair: Pair) {
      const key = pair.key as Node | null;
      if (isScalar(key)) {
        if (typeof key.value !== 'symbol') key.value = spelling(key);
      } else if (key !== null) {
        problems.push({ line: lineAt(key.range?.[0] ?? 0), message: 'expected a name before `:`' });
      }
    },
  });
  return problems;
}

const spelling = ({ source, value }: Scalar) => source || String(value);

/** Whether an alias makes a group a part of itself. */
function containsItself(value: unknown, around: readonly unknown[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (around.includes(value)) return true;
  const inner = [...around, value];
  return Object.values(value).some((part) => containsItself(part, inner));
}

/** Offset of the key of a path in the text. */
function keyOffset(root: unknown, path: readonly PropertyKey[]): number | null {
  let node = root;
  let offset: number | null = null;
  for (const part of path) {
    if (!isMap(node)) return offset;
    const pair = node.items.find(({ key }) => isScalar(key) && key.value === String(part));
    if (!pair) return null;
    offset = (pair.key as Node).range?.[0] ?? null;
    node = pair.value;
  }
  return offset;
}
