/** Labels that are resolved to classes of a model. */
/**
 * All names that can be scored: the labels of the model except its background, the groups of model and configuration,
 * and all other names in the settings.
 */
export interface CompiledLabels extends LabelTable {
  readonly names: readonly string[];
  /**
   * Scores every name: the sum of its classes' probabilities, at most 1.
   * @param probabilities one per class of the model
   * @param out one per name
   */
  score(probabilities: Float32Array, out: Float32Array): void;
  /** The model's classes that a name stands for. */
  classesOf(name: string): readonly number[];
}

/** The same as pure data, which can be sent to another thread. */
export interface LabelTable {
  /** The model's classes by name. */
  readonly classes: ReadonlyMap<string, readonly number[]>;
  /** Probable mistakes in the settings, one sentence each, to be logged at the start. */
  readonly warnings: readonly string[];
}

/** Flattens the table for the loop that runs for every region. */
export function compileTable({ classes, warnings }: LabelTable): CompiledLabels {
  const members = Int32Array.from([...classes.values()].flat());
  const ends = new Int32Array(classes.size);
  let end = 0;
  for (const [i, { length }] of [...classes.values()].entries()) {
    end += length;
    ends[i] = end;
  }
  return {
    classes,
    warnings,
    names: [...classes.keys()],
    classesOf: (name) => classes.get(name) ?? [],
    score(probabilities, out) {
      let next = 0;
      for (let i = 0; i < ends.length; i++) {
        let sum = 0;
        for (; next < ends[i]!; next++) sum += probabilities[members[next]!]!;
        out[i] = Math.min(1, sum);
      }
    },
  };
}
