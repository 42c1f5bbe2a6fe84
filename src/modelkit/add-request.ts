/** Resolves the argument of `lookout model add`: a name in the catalogue or a URL, and always a checksum. */
import { resolve } from 'node:path';
import { isModelName, NAME } from '../config/names.ts';
import { didYouMean } from '../config/problems.ts';
import { LookoutError } from '../errors.ts';
import { redact } from '../runtime/secrets.ts';
import type { AddRequest } from './add.ts';
import { type Catalogue, loadCatalogue } from './catalogue.ts';

export interface AddOptions {
  sha256?: string;
  from?: string;
  labels?: string;
  description?: string;
  name?: string;
}

/**
 * @param what a name in the catalogue, or a URL
 * @throws LookoutError MODEL_UNKNOWN, MODEL_CHECKSUM_UNKNOWN, MODEL_CHECKSUM or USAGE
 */
export function resolveAddRequest(
  what: string,
  options: AddOptions,
  catalogue: Catalogue = loadCatalogue(),
): AddRequest {
  const entry = Object.hasOwn(catalogue, what) ? catalogue[what] : undefined;
  if (!entry && !/^https?:\/\//.test(what)) throw unknownModel(what, Object.keys(catalogue));
  const name = options.name ?? (entry ? what : nameOf(what));
  if (!isModelName(name)) throw new LookoutError('USAGE', `--name ${name}: expected ${NAME.rule}`);
  const { from, labels, description } = options;
  return {
    name,
    catalogue: entry ? { name: what, entry } : null,
    url: entry?.file.url ?? what,
    sha256: checksum(what, options.sha256?.toLowerCase(), entry?.file.sha256 ?? null),
    from: from && resolve(from),
    labels: labels && resolve(labels),
    description: description && resolve(description),
  };
}

export function unknownModel(name: string, known: readonly string[] = []): LookoutError {
  return new LookoutError('MODEL_UNKNOWN', `unknown model ${redact(name)}${didYouMean(name, known)}`, {
    hint: 'Run `lookout model list` to see all models. For your own file, use `lookout model import` or set its path in `model.file`.',
  });
}

function checksum(what: string, given: string | undefined, published: string | null): string {
  if (given !== undefined && !/^[0-9a-f]{64}$/.test(given)) {
    throw new LookoutError('USAGE', `--sha256 ${given}: expected 64 hexadecimal digits`);
  }
  if (published && given && given !== published) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${redact(what)} was published with sha256 ${published}, not ${given}`,
    );
  }
  const sha256 = published ?? given;
  if (sha256) return sha256;
  throw new LookoutError('MODEL_CHECKSUM_UNKNOWN', `${redact(what)}: the publisher gives no checksum`, {
    hint: 'Give the checksum of a copy that you trust with --sha256 (run `sha256sum FILE` to get it).',
  });
}

/** A name from the last part of a URL, without its extension. */
function nameOf(url: string): string {
  const path = URL.parse(url)?.pathname ?? '';
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
    .replace(/\.\w+$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '_')
    .replace(/^[_-]+/, '')
    .slice(0, 40);
}
