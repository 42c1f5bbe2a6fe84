/** Settings from the environment: `LOOKOUT__mqtt__url=…` overrides `mqtt.url`. */
import { closest, settingPaths, takesText } from './problems.ts';
import { readYaml } from './yaml.ts';

const PREFIX = 'LOOKOUT__';

/** Variables that start with LOOKOUT_ and are not settings. */
const OTHERS = ['LOOKOUT_CONFIG'];

/** An environment variable that changed the settings. */
export interface Override {
  variable: string;
  /** Path that it set: the setting, or the outermost group that did not exist before. */
  set: string[];
}

/**
 * Overrides settings with those of the environment. A value is read as text where the schema expects text, so that `007`,
 * `true` or `#admin` keep their spelling, and as YAML elsewhere.
 * @param settings changed in place
 * @returns the changes, and one line for each value that is not valid YAML
 */
export function applyOverrides(
  settings: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): { overrides: Override[]; problems: string[] } {
  const overrides: Override[] = [];
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined) continue;
    const path = variable.slice(PREFIX.length).split('__');
    if (takesText(path, settings)) overrides.push({ variable, set: put(settings, path, text) });
    else {
      const { value, problems: faults } = readYaml(text);
      if (faults.length === 0) overrides.push({ variable, set: put(settings, path, value) });
      problems.push(...faults.map(({ message }) => `${variable}: ${message}`));
    }
  }
  return { overrides, problems };
}

/** Sets the value at a path; returns the path of the outermost group that this created, or else the path itself. */
function put(settings: Record<string, unknown>, path: string[], value: unknown): string[] {
  let group = settings;
  let created: string[] | null = null;
  for (const [depth, part] of path.slice(0, -1).entries()) {
    const next = Object.hasOwn(group, part) ? group[part] : undefined;
    if (typeof next === 'object' && next !== null && !Array.isArray(next)) {
      group = next as Record<string, unknown>;
      continue;
    }
    created ??= path.slice(0, depth + 1);
    const inner: Record<string, unknown> = {};
    group[part] = inner;
    group = inner;
  }
  group[path.at(-1)!] = value;
  return created ?? path;
}

/** One line for each variable that was probably meant as a setting but has another form. The lines contain no values. */
export function strayVariables(env: NodeJS.ProcessEnv): string[] {
  const names = Object.keys(env).filter((name) => /^lookout_/i.test(name) && !name.startsWith(PREFIX));
  if (names.length === 0) return [];
  const known = [...settingPaths().map((path) => PREFIX + path.join('__')), ...OTHERS];
  return names.flatMap((name) => {
    if (OTHERS.includes(name)) return [];
    const meant = known.find((candidate) => pattern(candidate).test(plain(name))) ?? near(name, known);
    if (meant === null && !name.includes('__')) return [];
    const question = meant === null ? '' : ` (did you mean \`${meant}\`?)`;
    return [
      `environment: ${name} is ignored: expected ${PREFIX} followed by a setting in lower case${question}`,
    ];
  });
}

/** The closest candidate, if it is close enough to be a typing error. */
function near(name: string, candidates: readonly string[]): string | null {
  const plainNames = new Map(candidates.map((candidate) => [plain(candidate), candidate]));
  return plainNames.get(closest(plain(name), [...plainNames.keys()]) ?? '') ?? null;
}

/** Drops what is easily mistyped: case and underscores. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('_', '')
    .replace(/^lookout/, '');
}

/** Matches a plain name, with any name in place of each NAME. */
function pattern(candidate: string): RegExp {
  return new RegExp(`^${candidate.split('NAME').map(plain).join('.+')}$`);
}
