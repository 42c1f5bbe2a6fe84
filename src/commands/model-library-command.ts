import type { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import type { Chosen } from '../model/builtin.ts';
import type { AddedModel } from '../model/library.ts';
import type { CatalogueEntry } from '../modelkit/catalogue.ts';
import { printable, printableLines } from '../runtime/printable.ts';
import { configFile } from './options.ts';
import { showProgress } from './progress-bar.ts';
import { printRows } from './text-output.ts';

/** `lookout model add`, `list`, `verify` and `remove` */
export function modelLibraryCommands(model: Command): void {
  model
    .command('add')
    .description('download a model, check it and prepare it for use')
    .argument('<name|url>', 'a name from `lookout model list`, or a URL')
    .option('-c, --config <file>', 'configuration whose `data_dir` is used')
    .option('--sha256 <hex>', 'checksum of the file, if the catalogue has none')
    .option('--from <file>', 'use this copy of the published file instead of a download')
    .option('--labels <file>', 'labels, one per line, instead of the published labels')
    .option('--description <file>', 'description (.json) for an .onnx file without one')
    .option('--name <name>', 'name of the added model; by default that of the catalogue or the file')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout model add mobilenet_v2_imagenet\n  $ lookout model add mobilenet_v2_imagenet --from usb/mobilenet_v2_1.0_224_quant.tflite',
    )
    .action(add);
  model
    .command('list')
    .description('list the built-in model, added models and the catalogue')
    .option('-c, --config <file>', 'configuration whose `data_dir` is used')
    .option('--json', 'print the result as one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout model list')
    .action(list);
  model
    .command('verify')
    .description('check that added models are unchanged and valid')
    .argument('[name...]', 'names of added models; by default all')
    .option('-c, --config <file>', 'configuration whose `data_dir` is used')
    .addHelpText('after', '\nExample:\n  $ lookout model verify')
    .action(verify);
  model
    .command('remove')
    .description('delete an added model, or the rest of an unfinished download')
    .argument('<name>', 'a name from `lookout model list`')
    .option('-c, --config <file>', 'configuration whose `data_dir` is used')
    .option('--force', 'even if the configuration uses the model, or its files have changed')
    .addHelpText('after', '\nExample:\n  $ lookout model remove mobilenet_v2_inat_bird')
    .action(remove);
}

interface ConfigOption {
  config?: string;
}

interface AddOptions extends ConfigOption {
  sha256?: string;
  from?: string;
  labels?: string;
  description?: string;
  name?: string;
}

/** The folder of the models, and which settings of the configuration use which file. */
async function libraryOf({
  config: named,
}: ConfigOption): Promise<{ folder: string; used: ReadonlyMap<string, string[]>; config: Config }> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { modelsFolder } = await import('../config/names.ts');
  const { modelSettings } = await import('../setup/camera-model.ts');
  const { config } = loadConfig({ file: configFile(named) });
  return { folder: modelsFolder(config.data_dir), used: modelSettings(config), config };
}

async function add(what: string, options: AddOptions): Promise<void> {
  const { resolveAddRequest } = await import('../modelkit/add-request.ts');
  const { addModel } = await import('../modelkit/add.ts');
  const { addedModel, verifyModel } = await import('../model/library.ts');
  const { folder, config } = await libraryOf(options);
  const wanted = resolveAddRequest(what, options);
  const existing = await addedModel(folder, wanted.name);
  if (existing?.origin.published.sha256 === wanted.sha256) {
    await verifyModel(existing);
    printRows([
      ['added', `${wanted.name} already, unchanged`],
      ['file', existing.file],
    ]);
    return;
  }
  const progress = showProgress(process.stderr);
  const added = await addModel(folder, wanted, progress).finally(progress.end);
  const builtin = await builtinNow(config);
  const { origin, description, trial } = added;
  const { input } = description;
  printRows([
    ['added', added.name],
    ['file', `${added.file}, ${megabytes(origin.file.bytes)}`],
    ['from', wanted.from ?? origin.url],
    ['sha256', `${origin.published.sha256} (of the published file)`],
    ['input', `${input.width}×${input.height}, ${input.type}`],
    ['labels', String(description.labels.length)],
    ['licence', origin.licence ?? 'not stated'],
    ['accuracy', wanted.catalogue && accuracy(wanted.catalogue.entry)],
    ['warning', description.warning],
    ['test run', `${trial.milliseconds.toFixed(1)} ms with one thread`],
    ['use it', `model: { file: ${added.name} }`],
    ['', builtin.network === added.name ? 'or model: { file: builtin }, which now uses its features' : null],
  ]);
}

async function list(options: ConfigOption & { json?: true }): Promise<void> {
  const { loadCatalogue } = await import('../modelkit/catalogue.ts');
  const { addedModels } = await import('../model/library.ts');
  const { folder, used, config } = await libraryOf(options);
  const builtin = await describeBuiltin(config);
  const added = await Promise.all(
    (await addedModels(folder)).map((model) => describeAdded(model, used.has(model.file))),
  );
  const available = Object.entries(loadCatalogue()).map(([name, entry]) => ({ name, ...entry }));
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ folder, builtin, added, available })}\n`);
    return;
  }
  process.stdout.write(`Built in:\n  ${builtin.name}${builtin.inUse ? ' (in use)' : ''}\n`);
  process.stdout.write(`    input ${builtin.input}, ${builtin.labels} labels, ${megabytes(builtin.bytes)}\n`);
  process.stdout.write(`    ${printable(builtin.file)}\n`);
  if (builtin.note) process.stdout.write(`    ${builtin.note}\n`);
  process.stdout.write(`Added (${printable(folder)}):\n`);
  if (added.length === 0) process.stdout.write('  none\n');
  for (const { name, file, bytes, input, labels, sha256, licence, inUse, problem } of added) {
    process.stdout.write(`  ${name}${inUse ? ' (in use)' : ''}\n`);
    const shape = input ? `input ${input}, ${labels} labels, ` : '';
    process.stdout.write(`    ${shape}${megabytes(bytes)}, licence ${printable(licence ?? 'not stated')}\n`);
    process.stdout.write(`    ${printable(file)}\n    sha256 ${sha256}\n`);
    if (problem) process.stdout.write(`    ${printableLines(problem)}\n`);
  }
  process.stdout.write('Catalogue:\n');
  for (const entry of available) {
    const { bytes } = entry.file;
    const size = bytes === null ? 'size unknown' : megabytes(bytes);
    const pinned = entry.file.sha256 ? '' : ', needs --sha256';
    process.stdout.write(`  ${entry.name}\n    ${entry.title}\n`);
    process.stdout.write(`    ${size}, licence ${entry.licence}, ${accuracy(entry)}${pinned}\n`);
  }
}

/** The model that `builtin` resolves to. */
async function builtinNow({ model, data_dir }: Config): Promise<Chosen> {
  const { chooseModel } = await import('../model/builtin.ts');
  return chooseModel({ file: 'builtin', providers: model.providers }, { dataDir: data_dir });
}

async function describeBuiltin(config: Config) {
  const { loadModel } = await import('../model/load-model.ts');
  const { stat } = await import('node:fs/promises');
  const { file, note } = await builtinNow(config);
  const { description } = await loadModel({ file }, '/');
  const { width, height, type } = description.input;
  return {
    name: description.name,
    input: `${width}×${height} ${type}`,
    labels: description.labels.length,
    file,
    bytes: (await stat(file)).size,
    note: note?.text ?? null,
    inUse: config.model.file === 'builtin',
  };
}

async function describeAdded({ name, file, origin }: AddedModel, inUse: boolean) {
  const { loadModel } = await import('../model/load-model.ts');
  const found = { name, file, inUse, bytes: origin.file.bytes, sha256: origin.file.sha256 };
  const known = { ...found, licence: origin.licence, origin };
  try {
    const { description } = await loadModel({ file }, '/', { task: 'any' });
    const { width, height, type } = description.input;
    return {
      ...known,
      input: `${width}×${height} ${type}`,
      labels: description.labels.length,
      problem: null,
    };
  } catch (error) {
    return { ...known, input: null, labels: null, problem: messageOf(error) };
  }
}

async function verify(names: string[], options: ConfigOption): Promise<void> {
  const { addedModel, addedModels, verifyModel } = await import('../model/library.ts');
  const { unknownModel } = await import('../modelkit/add-request.ts');
  const { folder } = await libraryOf(options);
  const models =
    names.length === 0
      ? await addedModels(folder)
      : await Promise.all(
          names.map(async (name) => (await addedModel(folder, name)) ?? Promise.reject(unknownModel(name))),
        );
  const problems: LookoutError[] = [];
  for (const model of models) {
    try {
      const { sha256 } = await verifyModel(model);
      process.stdout.write(`${model.name}: unchanged, sha256 ${sha256}\n`);
    } catch (error) {
      if (!(error instanceof LookoutError)) throw error;
      problems.push(error);
      process.stdout.write(`${model.name}: ${printableLines(error.message)}\n`);
    }
  }
  if (models.length === 0) process.stdout.write('No models have been added.\n');
  const [first] = problems;
  if (first) {
    throw new LookoutError(
      first.code,
      `${problems.length} of ${models.length} models have changed or are not valid`,
      {
        hint: first.hint,
      },
    );
  }
}

async function remove(name: string, options: ConfigOption & { force?: true }): Promise<void> {
  const { removeModel } = await import('../modelkit/remove-model.ts');
  const { isModelName, addedFileIn } = await import('../config/names.ts');
  const { unknownModel } = await import('../modelkit/add-request.ts');
  const { removeMade } = await import('../model/builtin.ts');
  const { folder, used, config } = await libraryOf(options);
  if (!isModelName(name)) throw unknownModel(name);
  const usedByBuiltin = (await builtinNow(config)).network === name;
  const settings = [
    ...(used.get(addedFileIn(folder, name)) ?? []),
    ...((usedByBuiltin && used.get('builtin')) || []),
  ];
  if (settings.length > 0 && !options.force) {
    throw new LookoutError('MODEL_IN_USE', `the configuration uses ${name}: ${settings.join(', ')}`, {
      hint: 'Set another model there first, or add --force.',
    });
  }
  const { found, left } = await removeModel(folder, name, options.force);
  if (!found && left.length === 0) throw unknownModel(name);
  if (usedByBuiltin) await removeMade(config.data_dir);
  if (found) process.stdout.write(`removed ${name}\n`);
  if (left.length > 0)
    process.stdout.write(`kept, because \`model add\` did not write them: ${left.join(', ')}\n`);
}

function accuracy({ accuracy: published }: CatalogueEntry): string {
  if (!published) return 'no published accuracy';
  return `top-1 ${published.top1} % on ${published.data} (${published.source})`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
