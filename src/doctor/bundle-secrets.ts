/** Removes secrets from text that the user gives to others. */
import type { Config } from '../config/schema.ts';
import { addressSecrets, HIDDEN, redact } from '../runtime/secrets.ts';
import { readText } from '../runtime/text-file.ts';

/** Names of environment variables whose values are secret. */
const SECRET_NAME = /pass|secret|token|key|credential/i;

/** A secret in the arguments of a program, for example GStreamer's `user-pw=…`. */
const SECRET_WORD =
  /\b(?!\w*_file)([\w-]*(?:pass\w*|passwd|pwd|[_-]pw|secret|token|user[_-]?id))(["']?\s*[=:]\s*)(["']?)[^\s"',}]+/gi;

/** Shorter texts are not removed, because they occur everywhere in a report. */
const SHORTEST = 3;
/** Up to this length a secret can be part of another word by chance, so it is removed only as a whole word. */
const SHORT = 5;

/** Files with secrets that the configuration names. */
export function secretFiles({ mqtt, cameras }: Config): string[] {
  const files = [mqtt.username_file, mqtt.password_file, mqtt.key_file];
  for (const { source } of Object.values(cameras)) {
    if (source.kind === 'rtsp' || source.kind === 'http') files.push(source.url_file);
  }
  return files.filter((file) => file !== undefined);
}

/**
 * Collects every secret of the configuration, its files and the environment.
 * @returns a function that removes them from a text, and everything else that looks like a secret
 */
export async function redactor(config: Config, env: NodeJS.ProcessEnv): Promise<(text: string) => string> {
  const texts: (string | undefined)[] = [config.mqtt.username];
  for (const { source } of Object.values(config.cameras)) {
    if (source.kind === 'rtsp' || source.kind === 'http') texts.push(...addressSecrets(source.url ?? ''));
    if (source.kind === 'http') texts.push(...addressSecrets(source.proxy ?? ''));
    if (source.kind === 'gstreamer') texts.push(...(source.pipeline ?? []).flatMap(addressSecrets));
  }
  for (const file of secretFiles(config)) {
    const lines = (await readText(file).catch(() => '')).split(/[\r\n]+/);
    texts.push(...lines, ...lines.flatMap(addressSecrets));
  }
  for (const [name, value = ''] of Object.entries(env)) {
    if (value.includes('://')) texts.push(...addressSecrets(value));
    // The path of a secret file is not a secret.
    if (SECRET_NAME.test(name) && !value.startsWith('/')) texts.push(value);
  }
  const secrets = texts.map((text) => text?.trim() ?? '').filter((text) => text.length >= SHORTEST);
  const longestFirst = [...new Set(secrets.flatMap(spellings))].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of longestFirst) clean = hide(clean, secret);
    return redact(clean).replace(SECRET_WORD, `$1$2$3${HIDDEN}`);
  };
}

function hide(text: string, secret: string): string {
  if (secret.length > SHORT) return text.replaceAll(secret, HIDDEN);
  return text.replace(new RegExp(`(?<!\\w)${secret.replace(/[^\w]/g, '\\$&')}(?!\\w)`, 'g'), HIDDEN);
}

/** A secret unchanged, and as it is written in JSON and in YAML. */
function spellings(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), secret.replaceAll("'", "''")];
}
