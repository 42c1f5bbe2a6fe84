/** Settings from the environment: `LOOKOUT__mqtt__url=…` overrides `mqtt.url`. */
import { closest, settingPaths } from './problems.ts';

const PREFIX = 'LOOKOUT__';

/** Variables with a meaning of their own. */
const OTHERS = ['LOOKOUT_CONFIG'];

/** A setting that the environment gives, with its value as YAML. */
export interface Override {
  path: string[];
  text: string;
}

export function overrides(env: NodeJS.ProcessEnv): Override[] {
  return Object.entries(env).flatMap(([name, text]) =>
    name.startsWith(PREFIX) && text !== undefined
      ? [{ path: name.slice(PREFIX.length).split('__'), text }]
      : [],
  );
}

/** One line for each variable that was perhaps meant to be a setting and is none. Values are not repeated. */
export function strayVariables(env: NodeJS.ProcessEnv): string[] {
  const names = Object.keys(env).filter((name) => /^lookout_/i.test(name) && !name.startsWith(PREFIX));
  if (names.length === 0) return [];
  const known = [...settingPaths().map((path) => PREFIX + path.join('__')), ...OTHERS];
  return names.flatMap((name) => {
    if (OTHERS.includes(name)) return [];
    const meant = known.find((candidate) => pattern(candidate).test(plain(name))) ?? near(name, known);
    if (meant === null && !name.includes('__')) return [];
    const question = meant === null ? '' : ` (did you mean \`${meant}\`?)`;
    return [`environment: ${name} is ignored: expected ${PREFIX} and a setting in lower case${question}`];
  });
}

/** The candidate that is closest, if it is close enough to be meant. */
function near(name: string, candidates: readonly string[]): string | null {
  const plainNames = new Map(candidates.map((candidate) => [plain(candidate), candidate]));
  return plainNames.get(closest(plain(name), [...plainNames.keys()]) ?? '') ?? null;
}

/** Without what is easily got wrong: case and underscores. */
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
