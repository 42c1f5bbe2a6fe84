/** From the model's classes to the labels that people care about. */
import { didYouMean } from '../config/problems.ts';
import { type CompiledLabels, compileTable } from '../decide/label-classes.ts';
import { LookoutError } from '../errors.ts';
import type { ModelDescription } from '../model/description.ts';
import { presetFor } from './label-presets.ts';

/** A label or group that is named somewhere, and where, for messages: `cameras.door.labels`, `dog`. */
export interface LabelUse {
  path: string;
  name: string;
  /**
   * Models of which one must know it, by the name that the configuration gives them; by default any. None: only the
   * model that names it can.
   */
  models?: readonly string[];
}

/** A name that is neither a label nor a group of a model. */
export interface UnknownLabel extends LabelUse {
  /** Path and name in words, with what may have been meant. */
  text: string;
}

type Labelled = Pick<ModelDescription, 'name' | 'labels' | 'background' | 'groups'>;

/**
 * `compileKnown` for the only model there is.
 * @throws LookoutError LABEL_UNKNOWN with every name that is neither a label nor a group
 */
export function compileLabels(
  description: Labelled,
  groups: Record<string, readonly string[]>,
  uses: readonly LabelUse[] = [],
): CompiledLabels {
  const { compiled, unknown } = compileKnown(description, groups, uses);
  refuseUnknown([description.name], unknown);
  return compiled;
}

/** @throws LookoutError LABEL_UNKNOWN if there is any */
export function refuseUnknown(models: readonly string[], unknown: readonly UnknownLabel[]): void {
  if (unknown.length === 0) return;
  const [s, es] = models.length === 1 ? ['', 'es'] : ['s', ''];
  throw new LookoutError(
    'LABEL_UNKNOWN',
    [
      `labels that the model${s} ${models.join(', ')} do${es} not know`,
      ...new Set(unknown.map(({ text }) => text)),
    ].join('\n  '),
    { hint: 'Name a group, a whole label of the model or one of the synonyms in it.' },
  );
}

/**
 * Resolves names to classes. A name means, in this order: a group; a whole line of the label file; one synonym of
 * such a line (`tabby` of `tabby, tabby cat`), then of all lines that have it; the same without regard to case.
 * Members of groups may be groups. The configuration's groups come before the model's, and those before the
 * preset's; a group may have the name of a label and contain it.
 * @param uses names besides the groups' members; a synonym or a preset's group among them becomes a name of its own
 * @returns what the model knows of all that, and what it does not; a group without a known member is not scored
 */
export function compileKnown(
  description: Labelled,
  groups: Record<string, readonly string[]>,
  uses: readonly LabelUse[],
): { compiled: CompiledLabels; unknown: UnknownLabel[] } {
  const preset = presetFor(description.labels);
  const index = indexLabels(description.labels);
  const named = new Map<string, Omit<LabelUse, 'name'> & { members: readonly string[] }>();
  for (const [name, members] of Object.entries(description.groups)) {
    named.set(name, { path: `the model's group ${name}`, members, models: [] });
  }
  for (const [name, members] of Object.entries(groups)) named.set(name, { path: `groups.${name}`, members });

  const unknown: UnknownLabel[] = [];
  const warnings = new Set<string>();

  const resolve = (use: LabelUse, within: readonly string[]): Set<number> => {
    const { path, name } = use;
    if (!within.includes(name)) {
      const group = named.get(name);
      if (group) {
        const inner = [...within, name];
        return new Set(group.members.flatMap((member) => [...resolve({ ...group, name: member }, inner)]));
      }
      const classes = preset?.groups[name];
      if (classes) return new Set(classes);
    }
    const { classes, ambiguous } = index.find(name);
    if (classes.length === 0) {
      const candidates = [...named.keys(), ...Object.keys(preset?.groups ?? {}), ...index.words];
      const why = preset?.absent[name];
      const text = `${path}: unknown label \`${name}\`${why ? ` (${why})` : didYouMean(name, candidates)}`;
      unknown.push({ ...use, text });
    }
    if (ambiguous) {
      const lines = classes.map((i) => `\`${description.labels[i]}\` (${i})`);
      warnings.add(`${path}: \`${name}\` means ${classes.length} labels of the model: ${lines.join(', ')}`);
    }
    return new Set(classes);
  };

  const table = new Map<string, Set<number>>();
  for (const [i, label] of description.labels.entries()) {
    if (description.background.includes(label)) continue;
    table.set(label, (table.get(label) ?? new Set()).add(i));
  }
  for (const name of named.keys()) {
    const classes = resolve({ path: name, name }, []);
    if (classes.size > 0) table.set(name, classes);
  }
  for (const use of uses) {
    const classes = resolve(use, []);
    if (classes.size > 0 && !table.has(use.name)) table.set(use.name, classes);
  }
  const classes = new Map([...table].map(([name, found]) => [name, [...found]]));
  return { compiled: compileTable({ classes, warnings: [...warnings] }), unknown };
}

interface LabelIndex {
  /** Every line and every synonym. */
  words: string[];
  find(name: string): { classes: number[]; ambiguous: boolean };
}

/** The ways to find a label by name, most exact first. */
function indexLabels(labels: readonly string[]): LabelIndex {
  const maps = Array.from({ length: 3 }, () => new Map<string, number[]>());
  const add = (map: Map<string, number[]> | undefined, word: string, i: number) => {
    const classes = map?.get(word) ?? [];
    if (!classes.includes(i)) map?.set(word, [...classes, i]);
  };
  for (const [i, label] of labels.entries()) {
    add(maps[0], label, i);
    for (const word of [label, ...label.split(',').map((synonym) => synonym.trim())]) {
      add(maps[1], word, i);
      add(maps[2], word.toLowerCase(), i);
    }
  }
  return {
    words: [...(maps[1]?.keys() ?? [])],
    find(name) {
      const classes = maps[0]?.get(name) ?? maps[1]?.get(name) ?? maps[2]?.get(name.toLowerCase()) ?? [];
      return { classes, ambiguous: classes.length > 1 };
    },
  };
}
