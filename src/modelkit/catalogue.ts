/** The catalogue of models to download: models/catalogue.json, validated when it is read. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { NAME } from '../config/names.ts';
import { descriptionFile } from '../model/description.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits');
const url = z.url({ protocol: /^https$/ });

const entry = z.strictObject({
  title: z.string().min(1),
  publisher: z.string().min(1),
  licence: z.string().min(1),
  /** `bytes` and `sha256` are null if they are not published: then the user must give the checksum. */
  file: z.strictObject({
    url,
    bytes: z.number().int().min(1).nullable(),
    sha256: sha256.nullable(),
  }),
  /** `skip`: number of labels at the start that the model does not have (for example ImageNet's `background`). */
  labels: z.strictObject({
    url,
    sha256: sha256.nullable(),
    skip: z.number().int().min(0).default(0),
  }),
  /** What an .onnx file does not state. */
  description: descriptionFile.optional(),
  /** As published, in percent. */
  accuracy: z
    .strictObject({ top1: z.number().min(0).max(100), data: z.string().min(1), source: url })
    .nullable(),
  note: z.string().min(1),
});

const catalogue = z.record(z.string().regex(NAME.pattern, NAME.rule), entry);

export type CatalogueEntry = z.infer<typeof entry>;
export type Catalogue = z.infer<typeof catalogue>;

/** @throws ZodError if the catalogue is not valid */
export function parseCatalogue(json: unknown): Catalogue {
  return catalogue.parse(json);
}

export function loadCatalogue(): Catalogue {
  const file = new URL('../../models/catalogue.json', import.meta.url);
  return parseCatalogue(JSON.parse(readFileSync(file, 'utf8')));
}
