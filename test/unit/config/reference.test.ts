import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { exampleConfig, jsonSchema } from '../../../src/config/reference.ts';
import { configSchema } from '../../../src/config/schema.ts';

const committed = (name: string) => readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8');

describe('the configuration reference', () => {
  it('is the example file in config/ (else: npm run reference)', () => {
    assert.equal(committed('lookout.example.yaml'), exampleConfig());
  });

  it('is the JSON Schema in config/ (else: npm run reference)', () => {
    assert.deepEqual(JSON.parse(committed('lookout.schema.json')), JSON.parse(JSON.stringify(jsonSchema())));
  });

  it('gives an example that is valid and changes no default', () => {
    const example = configSchema.parse(parse(exampleConfig()));
    const { cameras, ...rest } = configSchema.parse({});
    const { cameras: exampleCameras, ...exampleRest } = example;
    assert.deepEqual(exampleRest, rest);
    assert.deepEqual(Object.keys(exampleCameras), ['front']);
    assert.deepEqual({ ...exampleCameras.front, source: null }, { ...cameras.demo, source: null });
  });

  it('explains or bounds every setting', () => {
    const missing: string[] = [];
    const visit = (node: SchemaNode, path: string) => {
      for (const option of node.oneOf ?? []) visit(option, path);
      for (const [key, child] of Object.entries(node.properties ?? {})) {
        const leaf = !child.properties && !child.oneOf && typeof child.additionalProperties !== 'object';
        if (leaf && child.const === undefined && !child.description && !child.enum)
          missing.push(`${path}${key}`);
        visit(child, `${path}${key}.`);
      }
      if (typeof node.additionalProperties === 'object') visit(node.additionalProperties, `${path}*.`);
    };
    visit(jsonSchema() as SchemaNode, '');
    assert.deepEqual(missing, []);
  });
});

interface SchemaNode {
  description?: string;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode | boolean;
  oneOf?: SchemaNode[];
}
