/** The JSON Schema of the configuration, and the commented example file written from it. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { configSchema, defaultLabel } from './schema.ts';

interface Node {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  multipleOf?: number;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  items?: Node;
  oneOf?: Node[];
  anyOf?: Node[];
}

/** JSON Schema (draft 2020-12) of a configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(configSchema, { io: 'input' }),
    title: 'Lookout configuration',
  };
}

/** Names that stand for the user's own in the example. */
const SAMPLE_KEYS: Record<string, string> = {
  cameras: 'front',
  zones: 'drive',
  labels: 'person',
  models: 'birds',
  groups: 'vehicle',
};
/** Values for the settings that have no default. */
const SAMPLES: Record<string, unknown> = {
  device: 'porch',
  polygon: [
    [0.1, 0.5],
    [0.9, 0.5],
    [0.9, 1],
    [0.1, 1],
  ],
  path: './clips',
  url: 'rtsp://camera.local/stream1',
  model: 'birds',
  vehicle: ['car', 'truck'],
  limit: 70,
  ...defaultLabel,
};

/** Every setting with its meaning, range and default, as a YAML file that is valid as it stands. */
export function exampleConfig(): string {
  const head = [
    '# Lookout: every setting. Each stands at its default; those behind `#` have none or are examples.',
    '# Relative paths start at the folder of this file. `credential:NAME` is a credential passed by systemd.',
    '# Environment: LOOKOUT__mqtt__url=mqtt://broker:1883 overrides mqtt.url, and so on.',
    '# Written by `lookout schema --example`.',
    '',
  ];
  return `${[...head, ...properties(jsonSchema() as Node, '', false)].join('\n')}\n`;
}

/** `example`: the settings are part of an example behind `#`, where samples stand for missing defaults. */
function properties(node: Node, indent: string, example: boolean): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
    setting(key, child, indent, example),
  );
}

function setting(key: string, node: Node, indent: string, example: boolean): string[] {
  const comment = [node.description, range(node)].filter(Boolean).join(' ');
  const lines = comment ? [`${indent}# ${comment}`] : [];
  if (node.oneOf) return [...lines, ...alternatives(key, node.oneOf, indent)];
  if (node.properties) return [...lines, `${indent}${key}:`, ...properties(node, `${indent}  `, example)];
  const name = SAMPLE_KEYS[key];
  if (typeof node.additionalProperties === 'object' && name) {
    if (key === 'cameras')
      return [...lines, `${key}:`, ...setting(name, node.additionalProperties, '  ', example)];
    return [
      ...lines,
      ...behindHash(indent, [`${key}:`, ...setting(name, node.additionalProperties, '  ', true)]),
    ];
  }
  const value = node.default ?? node.const ?? (example ? SAMPLES[key] : undefined);
  if (value !== undefined) return [...lines, `${indent}${key}: ${inline(value)}`];
  return [...lines, `${indent}# ${key}: ${inline(SAMPLES[key] ?? (node.type === 'array' ? ['…'] : '…'))}`];
}

/** The kinds of source: the first stands, the others are examples. */
function alternatives(key: string, kinds: Node[], indent: string): string[] {
  return kinds.flatMap((kind, i) => {
    const block = [`${key}:`, ...properties(kind, '  ', i > 0)];
    return i === 0 ? block.map((line) => indent + line) : behindHash(indent, block);
  });
}

const behindHash = (indent: string, lines: string[]) => lines.map((line) => `${indent}# ${line}`);

/** Range or choice of a setting, in words. */
function range(node: Node): string {
  const choices = node.enum ?? node.anyOf?.flatMap((option) => option.const ?? []);
  if (choices && choices.length > 0) return `One of: ${choices.join(', ')}.`;
  if (node.items?.enum) return `Any of: ${node.items.enum.join(', ')}.`;
  if (node.type !== 'number' && node.type !== 'integer') return '';
  const low = node.minimum ?? node.exclusiveMinimum;
  return low !== undefined && node.maximum !== undefined ? `Range: ${low}…${node.maximum}.` : '';
}

const inline = (value: unknown) => stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
