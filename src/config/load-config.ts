/** Configuration: defaults ← file ← environment, checked together, with absolute paths, then frozen. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { z } from 'zod';
import { LookoutError, messageOf } from '../errors.ts';
import { redact } from '../runtime/secrets.ts';
import { readTextSync } from '../runtime/text-file.ts';
import { ignoredProxies } from './address-rules.ts';
import { checkConsistency, checkNames } from './consistency.ts';
import { applyOverrides, type Override, strayVariables } from './environment.ts';
import { deepFreeze } from './freeze.ts';
import { isModelName, modelFile } from './names.ts';
import { describeIssue, type Problem, removeFaults, show } from './problems.ts';
import { type Config, configSchema } from './schema.ts';
import { type Step, upgradeSettings } from './upgrade-config.ts';
import { readYaml, type YamlText } from './yaml.ts';

export interface LoadOptions {
  /** YAML file; without one, the defaults apply. */
  file?: string | undefined;
  /** `LOOKOUT__mqtt__url=…` overrides `mqtt.url`. */
  env?: NodeJS.ProcessEnv;
  /** Where relative paths start without a file; by default, and as `''`, the current folder. */
  baseDir?: string;
  /** Upgrades from one version of the settings to the next; by default those of this program. */
  steps?: readonly Step[];
}

export interface LoadedConfig {
  config: Config & { device: string };
  file: string | null;
  /** Where relative paths start; `''`: in the current folder. */
  baseDir: string;
  /** What is valid but looks like a mistake. */
  warnings: string[];
}

/**
 * Reads and checks the configuration.
 * @throws LookoutError CONFIG_UNREADABLE, CONFIG_TOO_NEW, or CONFIG_INVALID, which lists every problem
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const { file, env = process.env, steps } = options;
  const baseDir = file === undefined ? (options.baseDir ?? '') : dirname(resolve(file));
  const source = file === undefined ? null : readSource(resolve(file));
  const raw = source?.value ?? {};
  const changes = source === null ? [] : upgradeSettings(raw, source.file, steps);
  const environment = applyOverrides(raw, env);

  const { parsed, problems } = check(raw);
  if (!parsed || environment.problems.length > 0) {
    const lines = problems
      .map((problem) => locate(problem, source, environment.overrides))
      .sort((a, b) => a.line - b.line)
      .map(({ line, text }) => (line > 0 ? `  line ${line}: ${text}` : `  ${text}`));
    lines.push(...environment.problems.map((problem) => `  ${problem}`));
    throw new LookoutError(
      'CONFIG_INVALID',
      `${file ?? 'configuration'}: ${lines.length} ${lines.length === 1 ? 'problem' : 'problems'}\n${lines.join('\n')}`,
      {
        hint: 'Correct these settings, then check the file with `lookout check-config`. config/lookout.example.yaml explains every setting.',
      },
    );
  }

  const config = { ...parsed, device: parsed.device ?? deviceName(hostname()) };
  resolvePaths(config, baseDir, env.CREDENTIALS_DIRECTORY);
  const warnings = [...changes, ...strayVariables(env), ...ignoredProxies(env, config)];
  return { config: deepFreeze(config), file: source?.file ?? null, baseDir, warnings };
}

/** All problems of the raw settings: those of single settings, and those between the settings that are valid. */
function check(raw: unknown): { parsed: Config | null; problems: Problem[] } {
  const problems = checkNames(raw);
  const parsed = configSchema.safeParse(raw);
  if (parsed.success) {
    problems.push(...checkConsistency(parsed.data));
    return { parsed: problems.length === 0 ? parsed.data : null, problems };
  }
  problems.push(...parsed.error.issues.flatMap((issue) => describeIssue(issue, raw)));
  const rest: unknown = structuredClone(raw);
  for (let left = parsed.error.issues; left.length > 0; ) {
    removeFaults(rest, left);
    const again = configSchema.safeParse(rest);
    if (again.success) problems.push(...checkConsistency(again.data));
    left = again.error?.issues ?? [];
  }
  return { parsed: null, problems };
}

interface SourceText {
  file: string;
  value: Record<string, unknown>;
  lineOf: YamlText['lineOf'];
}

function readSource(file: string): SourceText {
  let text: string;
  try {
    text = readTextSync(file);
  } catch (error) {
    throw new LookoutError('CONFIG_UNREADABLE', `cannot read config file ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Check the path and its permissions. To write a new file, start from config/lookout.example.yaml.',
    });
  }
  const { value, problems, lineOf } = readYaml(text);
  if (problems.length > 0) {
    const list = problems.map(({ line, message }) => `  line ${line}: ${redact(message)}`);
    throw new LookoutError(
      'CONFIG_INVALID',
      `${file} is not a valid configuration file:\n${list.join('\n')}`,
    );
  }
  const settings = value ?? {};
  if (typeof settings !== 'object' || Array.isArray(settings)) {
    throw new LookoutError(
      'CONFIG_INVALID',
      `${file}: expected settings as \`key: value\`, found ${Array.isArray(settings) ? 'a list' : typeof settings}`,
    );
  }
  return { file, value: settings as Record<string, unknown>, lineOf };
}

/** Where a problem comes from: a line of the file, or the environment variable that set the value. */
function locate(
  problem: Problem,
  source: SourceText | null,
  overrides: readonly Override[],
): { line: number; text: string } {
  const cause = overrides.findLast(({ set }) => set.every((part, depth) => problem.path[depth] === part));
  if (cause) return { line: 0, text: `${cause.variable}: ${format(problem)}` };
  return { line: source?.lineOf(problem.path) ?? 0, text: format(problem) };
}

function format({ path, message }: Problem): string {
  return path.length > 0 ? `${path.join('.')}: ${message}` : message;
}

/** A host name as a device name: lower case, without its domain. A name that has to be changed gets a hash, to stay unique. */
function deviceName(host: string): string {
  const given = host.toLowerCase().replace(/\..*$/, '');
  const name = given
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 32);
  if (name === given && name !== '') return name;
  return `${name || 'lookout'}-${createHash('sha256').update(given).digest('hex').slice(0, 6)}`;
}

const CREDENTIAL = 'credential:';

function resolvePaths(
  config: z.infer<typeof configSchema>,
  baseDir: string,
  credentials: string | undefined,
): void {
  const absolute = (path: string, from = baseDir): string => {
    if (!path.startsWith(CREDENTIAL)) return isAbsolute(path) ? path : resolve(from, path);
    const name = path.slice(CREDENTIAL.length);
    if (!/^[\w-][\w.-]*$/.test(name)) {
      throw new LookoutError(
        'CONFIG_INVALID',
        `${path}: expected the name of a credential, found ${show(name)}`,
      );
    }
    // Credentials exist only inside the service; the part that reads this one reports that it is missing.
    if (!credentials) return path;
    return resolve(credentials, name);
  };
  const { store, mqtt } = config;
  config.data_dir = absolute(config.data_dir);
  store.file = absolute(store.file, config.data_dir);
  store.snapshots = absolute(store.snapshots, config.data_dir);
  for (const model of [config.model, ...Object.values(config.models)]) {
    if (isModelName(model.file)) model.file = modelFile(model.file, baseDir, config.data_dir);
    else if (model.file !== 'builtin') model.file = absolute(model.file);
    if (model.labels) model.labels = absolute(model.labels);
    if (model.description) model.description = absolute(model.description);
  }
  for (const key of ['username_file', 'password_file', 'ca_file', 'cert_file', 'key_file'] as const) {
    const path = mqtt[key];
    if (path) mqtt[key] = absolute(path);
  }
  for (const { source } of Object.values(config.cameras)) {
    if (source.kind === 'replay') source.path = absolute(source.path);
    if ((source.kind === 'rtsp' || source.kind === 'http') && source.url_file)
      source.url_file = absolute(source.url_file);
    if (source.kind === 'http' && source.ca_file) source.ca_file = absolute(source.ca_file);
  }
}
