/** Whether each model in use loads and runs, on which provider and how fast. */
import { describeKernel } from '../model/int8-kernel.ts';
import { outputBytes } from '../pixels/resize.ts';
import { resolveConfig } from '../setup/resolve.ts';
import type { ResolvedModel } from '../setup/resolved.ts';
import { ModelSession } from '../vision/inference-session.ts';
import { type Check, type Finding, failed, ok, warn } from './check.ts';

/** Number of inferences; the fastest is reported. */
const RUNS = 5;

const EXACT = 'This kernel makes scores wrong. Use `exact: auto` in the settings of the model.';

export const checkModels: Check = async ({ loaded, resolved }) => {
  // If the models could not be resolved, this throws the reason.
  const { models } = resolved ?? (await resolveConfig(loaded));
  const findings: Finding[] = [];
  // One after the other, because they would slow each other down.
  for (const [name, model] of models) findings.push(await run(`model ${name}`, model));
  return findings;
};

async function run(check: string, { file, description, config, note }: ResolvedModel): Promise<Finding> {
  let session: ModelSession | undefined;
  try {
    session = ModelSession.open(file, description, config);
    const { provider, kernel, skipped } = session.info;
    const milliseconds = time(session, description);
    const text = `${description.name}, ${description.labels.length} labels, on ${provider}: ${milliseconds.toFixed(1)} ms, ${describeKernel(kernel)}`;
    const skippedText = skipped
      .filter((other) => other.provider !== 'cpu')
      .map((other) => `${other.provider}: ${other.reason}`)
      .join('; ');
    if (kernel.name === 'saturating') return warn(check, text, EXACT);
    if (note?.problem) return warn(check, `${text}; ${note.text}`, 'See docs/models.md.');
    if (description.warning) return warn(check, text, description.warning);
    return ok(check, skippedText === '' ? text : `${text} (skipped ${skippedText})`);
  } catch (error) {
    return failed(check, error, 'See docs/models.md.');
  } finally {
    session?.release();
  }
}

/** Milliseconds of the fastest inference. */
function time(session: ModelSession, { input, labels }: ResolvedModel['description']): number {
  const infer = session.bind(new Uint8Array(outputBytes(input)), new Float32Array(labels.length));
  let fastest = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    infer();
    fastest = Math.min(fastest, performance.now() - start);
  }
  return fastest;
}
