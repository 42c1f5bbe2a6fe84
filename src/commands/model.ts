import type { Command } from 'commander';
import type { ModelDescription } from '../model/description.ts';

/** `lookout model …`: brings models in, makes them and looks into them. */
export function modelCommand(program: Command): void {
  const model = program.command('model').description('bring models in and look into them');
  model
    .command('inspect')
    .description('show what a model wants, answers and consists of')
    .argument('[file]', '`builtin`, or an .onnx file', 'builtin')
    .option('--labels <file>', 'label file for a model that carries none, one label a line')
    .option('--description <file>', 'description (.json) for a model that carries none')
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout model inspect birds.onnx')
    .action(inspect);
  model
    .command('import')
    .description('turn a fully quantised TensorFlow Lite classifier into a model for Lookout')
    .argument('<file>', 'a .tflite file')
    .option('-o, --out <file>', 'where to write; by default beside the file, as .onnx')
    .option('--labels <file>', 'labels, one a line; by default those inside the file or beside it')
    .option('--embedding', 'also give out the pooled features as the output `embedding`')
    .addHelpText(
      'after',
      '\nExample:\n  $ lookout model import mobilenet_v2_1.0_224_quant.tflite --out birds.onnx',
    )
    .action(importModel);
}

async function importModel(
  file: string,
  options: { out?: string; labels?: string; embedding?: true },
): Promise<void> {
  const { importTflite } = await import('../model/import.ts');
  const { out, bytes, description, operators, trial } = await importTflite({ file, ...options });
  print([
    ['written', `${out}, ${bytes} bytes`],
    ...summary(description),
    ['operators', counted(operators)],
    ['cpu', trial.fused && `${total(trial.fused)} nodes after fusing: ${counted(trial.fused)}`],
    ['tried', `runs, ${trial.milliseconds.toFixed(1)} ms with one thread`],
  ]);
}

async function inspect(
  file: string,
  { json, ...files }: { labels?: string; description?: string; json?: true },
): Promise<void> {
  const { inspectModel } = await import('../model/inspect.ts');
  const found = await inspectModel({ file, ...files }, process.cwd());
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  print([
    ['file', `${found.file}, ${found.bytes} bytes`],
    ['sha256', found.sha256],
    ['made by', `${found.producer}, opset ${found.opset}`],
    ...summary(found.description),
    ['operators', counted(found.operators)],
  ]);
}

type Row = [key: string, value: string | null];

function summary({ name, input, output, labels, ...rest }: ModelDescription): Row[] {
  const shape = input.layout === 'nhwc' ? [input.height, input.width, 3] : [3, input.height, input.width];
  const shown = labels.length > 8 ? `${labels.slice(0, 8).join(' · ')} …` : labels.join(' · ');
  return [
    ['name', name],
    ['input', `${input.name}: ${input.type} 1×${shape.join('×')} ${input.order.toUpperCase()}`],
    ['pixels', `(pixel − ${perChannel(input.mean)}) × ${perChannel(input.scale)}`],
    ['output', `${output.name}: ${output.kind} of ${labels.length} classes`],
    ['embedding', rest.embedding ? `${rest.embedding.name}: ${rest.embedding.size} numbers` : null],
    ['labels', shown],
    ['background', rest.background.join(' · ') || null],
    ['events', Object.keys(rest.events).join(' · ') || null],
    ['source', rest.source ? `${rest.source.file}, sha256 ${rest.source.sha256}` : null],
    ['licence', rest.licence],
    ['warning', rest.warning],
  ];
}

function perChannel(values: readonly number[]): string {
  return values.every((value) => value === values[0]) ? String(values[0]) : values.join(' / ');
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function counted(counts: Record<string, number>): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function print(rows: Row[]): void {
  for (const [key, value] of rows) {
    if (value !== null) process.stdout.write(`${key.padEnd(11)}${value}\n`);
  }
}
