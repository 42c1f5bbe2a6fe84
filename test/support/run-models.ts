import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './daemon.ts';

const runner = new URL('../fakes/run-model.ts', import.meta.url).pathname;

/**
 * What models answer in a process of their own.
 * @param inputs bytes of uint8 inputs, one behind the other
 * @param session settings of ONNX Runtime's session, such as `x64quantprecision`
 * @returns for each model, for each input, all outputs one behind the other
 */
export function runModels(
  models: readonly Uint8Array[],
  inputs: Uint8Array,
  session: Record<string, string>,
  env: NodeJS.ProcessEnv,
): number[][][] {
  const folder = tempFolder();
  const files = models.map((model, index) => {
    const file = join(folder, `${index}.onnx`);
    writeFileSync(file, model);
    return file;
  });
  writeFileSync(join(folder, 'inputs'), inputs);
  const json = execFileSync(
    process.execPath,
    [runner, JSON.stringify(session), join(folder, 'inputs'), ...files],
    { env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  return JSON.parse(json) as number[][][];
}
