/** Writes config/lookout.example.yaml and config/lookout.schema.json from the configuration schema. */
import { writeFileSync } from 'node:fs';
import { exampleConfig, jsonSchema } from '../src/config/reference.ts';

const config = new URL('../config/', import.meta.url);
writeFileSync(new URL('lookout.example.yaml', config), exampleConfig());
writeFileSync(new URL('lookout.schema.json', config), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
