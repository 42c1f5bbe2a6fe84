import type { Command } from 'commander';

/** `lookout model …`: brings models in, makes them and looks into them. */
export function modelCommand(program: Command): void {
  const model = program.command('model').description('look into model files');
  model
    .command('inspect')
    .description('show what a model wants, answers and consists of')
    .argument('[file]', '`builtin`, or an .onnx file', 'builtin')
    .option('--labels <file>', 'label file for a model that carries none, one label a line')
    .option('--description <file>', 'description (.json) for a model that carries none')
    .option('--json', 'print everything as one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout model inspect birds.onnx')
    .action(inspect);
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
  const { name, input, output, labels, background, events, warning, licence } = found.description;
  const shape = input.layout === 'nhwc' ? [input.height, input.width, 3] : [3, input.height, input.width];
  const rows: [string, string | null][] = [
    ['name', name],
    ['file', `${found.file}, ${found.bytes} bytes`],
    ['sha256', found.sha256],
    ['made by', `${found.producer}, opset ${found.opset}`],
    ['input', `${input.name}: ${input.type} 1×${shape.join('×')} ${input.order.toUpperCase()}`],
    ['pixels', `(pixel − ${input.mean.join(' / ')}) × ${input.scale.join(' / ')}`],
    ['output', `${output.name}: ${output.kind} of ${labels.length} classes`],
    ['labels', labels.length > 12 ? `${labels.slice(0, 12).join(' · ')} …` : labels.join(' · ')],
    ['background', background.join(' · ') || null],
    ['events', Object.keys(events).join(' · ') || null],
    [
      'operators',
      Object.entries(found.operators)
        .map(([type, count]) => `${count} ${type}`)
        .join(', '),
    ],
    ['licence', licence],
    ['warning', warning],
  ];
  for (const [key, value] of rows) {
    if (value !== null) process.stdout.write(`${key.padEnd(11)}${value}\n`);
  }
}
