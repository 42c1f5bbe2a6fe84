/** Resolves the names of models to files that can be measured. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadedConfig } from '../config/load-config.ts';
import { modelFile, modelsFolder } from '../config/names.ts';
import type { ModelConfig } from '../config/schema.ts';
import { chooseModel } from '../model/builtin.ts';
import type { ModelDescription } from '../model/description.ts';
import { addedModels } from '../model/library.ts';
import { loadModel } from '../model/load-model.ts';
import { memberName, parseMember, publishedAccuracy } from './family.ts';
import type { ModelFacts, ModelRef } from './profile-types.ts';

/** The hint for a wrong name of a family member. */
export const NO_MEMBER =
  'Members of the MobileNetV2 family are named v2-WIDTH-RESOLUTION-int8 or -fp32, with a width of 0.1…2 and a resolution of 32…512, such as v2-0.5-160-int8.';

/** Names of the installed models: the configured one, `builtin`, then the added ones. */
export async function installedModels({ config }: LoadedConfig): Promise<string[]> {
  const added = await addedModels(modelsFolder(config.data_dir));
  return [...new Set([config.model.file, 'builtin', ...added.map(({ name }) => name)])];
}

/**
 * @param name `builtin`, an added model, a file, or a member of the family
 * @param folder where members are built
 */
export async function findModel(
  name: string,
  { config, baseDir }: Pick<LoadedConfig, 'config' | 'baseDir'>,
  folder: string,
): Promise<ModelRef> {
  const member = parseMember(name);
  if (member) return { name: memberName(member), file: join(folder, `${memberName(member)}.onnx`), member };
  const named = name === config.model.file;
  const settings: Pick<ModelConfig, 'file' | 'providers'> = {
    file: named ? name : modelFile(name, '', config.data_dir),
    providers: ['cpu'],
  };
  const { file } = await chooseModel(settings, { dataDir: config.data_dir });
  const { description, labels } = config.model;
  const beside = named ? { description, labels } : {};
  const loaded = await loadModel({ file, ...beside }, baseDir);
  return { name, file: loaded.file, ...beside };
}

/** Describes a model without running it. @throws LookoutError MODEL_* */
export async function describe(
  model: ModelRef,
): Promise<{ facts: Omit<ModelFacts, 'multiplyAdds' | 'operators'>; description: ModelDescription }> {
  const { sha256, description } = await loadModel(model, '/');
  const { width, height, type } = description.input;
  const { size } = await stat(model.file);
  const facts = {
    name: model.name,
    file: model.file,
    sha256,
    bytes: size,
    input: `${width}×${height} ${type}`,
    accuracy: model.member ? publishedAccuracy(model.member) : null,
  };
  return { facts, description };
}
