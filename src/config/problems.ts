/** Turns schema issues into messages: what was expected, what was found, and the closest name that exists. */
import { distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { redact } from '../runtime/secrets.ts';
import { configSchema } from './schema.ts';

export interface Problem {
  path: PropertyKey[];
  message: string;
}

/** Settings whose values may contain a password: messages never show them. */
const SECRET = /url|user|pass|proxy/;

/** The problems of one zod issue, usually one. */
export function describeIssue(issue: z.core.$ZodIssue, raw: unknown): Problem[] {
  const path = [...issue.path];
  const found = SECRET.test(String(path.at(-1))) ? 'something else' : show(valueAt(raw, path));
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(path, raw);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown setting${didYouMean(key, known)}`,
      }));
    }
    case 'invalid_type':
      return [{ path, message: `expected ${article(issue.expected)}, found ${found}` }];
    case 'too_small':
      return [
        {
          path,
          message: `expected ${limit('at least', Number(issue.minimum), issue.origin)}, found ${found}`,
        },
      ];
    case 'too_big':
      return [
        {
          path,
          message: `expected ${limit('at most', Number(issue.maximum), issue.origin)}, found ${found}`,
        },
      ];
    case 'invalid_value': {
      const options = issue.values.map(String);
      return [
        { path, message: `expected ${list(options)}, found ${found}${didYouMean(unquote(found), options)}` },
      ];
    }
    case 'invalid_union': {
      if (issue.discriminator) {
        const kinds = sourceKinds();
        const at = [...path.filter((part) => part !== issue.discriminator), issue.discriminator];
        const kind = valueAt(raw, at);
        return [
          {
            path: at,
            message: `expected ${list(kinds)}, found ${show(kind)}${didYouMean(String(kind), kinds)}`,
          },
        ];
      }
      const options = issue.errors
        .flat()
        .flatMap((error) => (error.code === 'invalid_value' ? error.values : []));
      return [{ path, message: `expected ${list(options.map(String))}, found ${found}` }];
    }
    case 'not_multiple_of':
      return [{ path, message: `expected a multiple of ${issue.divisor}, found ${found}` }];
    default:
      return [{ path, message: `expected ${stripPrefix(issue.message)}, found ${found}` }];
  }
}

/** Deletes the settings that the issues are about from `raw`, so that the rest can be checked too. */
export function removeFaults(raw: unknown, issues: readonly z.core.$ZodIssue[]): void {
  for (const issue of issues) {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [key]) : [[]];
    for (const key of keys) remove(raw, [...issue.path, ...key]);
  }
}

/** Deletes the value at a path or, if it is missing, the group that should contain it. */
function remove(raw: unknown, path: PropertyKey[]): void {
  const last = path.at(-1);
  const parent = valueAt(raw, path.slice(0, -1));
  if (last === undefined) return;
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (typeof parent === 'object' && parent !== null && last in parent)
    Reflect.deleteProperty(parent, last);
  else remove(raw, path.slice(0, -1));
}

/** ` (did you mean …?)` if one of the candidates is close, else an empty text. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const best = closest(word, candidates);
  return best === null ? '' : ` (did you mean \`${best}\`?)`;
}

/** The candidate that is closest to a word, if it is close enough to be a typing error. */
export function closest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.min(word.length, Math.max(2, Math.floor(word.length / 3)) + 1);
  for (const candidate of candidates) {
    const d = candidate.startsWith(word) ? 1 : distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) [best, bestDistance] = [candidate, d];
  }
  return best;
}

/** A value as text for a message: at most 60 characters, without secrets. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = redact(JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  const?: unknown;
}

let cached: JsonSchema | null = null;
function jsonSchema(): JsonSchema {
  cached ??= z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema;
  return cached;
}

/** The settings that exist at a path, for the `kind` in the file. */
function knownKeys(path: readonly PropertyKey[], raw: unknown): string[] {
  return Object.keys(schemaAt(path, raw)?.properties ?? {});
}

/** Whether the setting at a path accepts text only. */
export function takesText(path: readonly PropertyKey[], raw: unknown): boolean {
  const schema = schemaAt(path, raw);
  const texts = schema?.enum ?? (schema?.const === undefined ? [] : [schema.const]);
  return schema?.type === 'string' || (texts.length > 0 && texts.every((text) => typeof text === 'string'));
}

/** The part of the schema for a path. Among alternatives, the `kind` in `raw` decides, else the first that has the key. */
function schemaAt(path: readonly PropertyKey[], raw: unknown): JsonSchema | undefined {
  let node: JsonSchema | undefined = jsonSchema();
  let value = raw;
  const choose = (schema: JsonSchema | undefined, at: unknown, key?: string): JsonSchema | undefined => {
    const options = schema?.oneOf ?? schema?.anyOf;
    if (!options) return schema;
    const kind = (at as { kind?: unknown } | null | undefined)?.kind;
    return (
      options.find((option) => option.properties?.kind?.const === kind) ??
      options.find((option) => key !== undefined && option.properties?.[key] !== undefined)
    );
  };
  for (const part of path) {
    const here = choose(node, value, String(part));
    const rest = typeof here?.additionalProperties === 'object' ? here.additionalProperties : undefined;
    node = here?.properties?.[String(part)] ?? rest;
    value = (value as Record<PropertyKey, unknown> | null | undefined)?.[part];
  }
  return choose(node, value);
}

/** Paths of all single settings, with `NAME` in place of names that the user chooses. */
export function settingPaths(node: JsonSchema = jsonSchema()): string[][] {
  const options = node.oneOf ?? node.anyOf;
  if (options?.some(({ properties }) => properties)) return options.flatMap((option) => settingPaths(option));
  const entries = Object.entries(node.properties ?? {});
  if (typeof node.additionalProperties === 'object') entries.push(['NAME', node.additionalProperties]);
  if (entries.length === 0) return [[]];
  return entries.flatMap(([key, child]) => settingPaths(child).map((path) => [key, ...path]));
}

function sourceKinds(): string[] {
  const cameras = jsonSchema().properties?.cameras?.additionalProperties;
  const source = typeof cameras === 'object' ? cameras.properties?.source : undefined;
  return (source?.oneOf ?? source?.anyOf ?? []).map((option) => String(option.properties?.kind?.const));
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

const list = (options: readonly string[]) =>
  options.length > 1 ? `one of ${options.join(', ')}` : (options[0] ?? '');
const unquote = (text: string) => text.replace(/^"|"$/g, '');
const stripPrefix = (message: string) =>
  message.replace(/^Invalid (string|input): (must match pattern|expected) ?/, '');

const TYPES: Record<string, string> = {
  object: 'a group of settings',
  record: 'a group of settings',
  array: 'a list',
};
const article = (type: string) => TYPES[type] ?? (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

function limit(word: string, value: number, origin: string): string {
  if (origin === 'string') return value === 1 ? 'some text' : `${word} ${value} characters`;
  return origin === 'array' ? `${word} ${value} entries` : `${word} ${value}`;
}
