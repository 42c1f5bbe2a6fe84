import { type Command, InvalidArgumentError } from 'commander';
import { LookoutError } from '../errors.ts';
import type { Exact } from '../model/int8-kernel.ts';
import type { Provider } from '../profile/profile-types.ts';
import type { ProfileOptions } from '../profile/run-profile.ts';
import { printable } from '../runtime/printable.ts';
import { configFile, integer, number } from './options.ts';

interface Options extends Omit<ProfileOptions, 'config' | 'signal' | 'screen'> {
  config?: string;
  out?: string;
  json?: true;
}

/** `lookout profile`: measures how fast this board runs Lookout, for how long, and with which settings. */
export function profileCommand(program: Command): void {
  const profile = program
    .command('profile')
    .description(
      'measure how fast this board runs Lookout, by model, threads, sessions and frame size, and how it throttles',
    )
    .option(
      '-c, --config <file>',
      'configuration with the model and cameras to measure; by default $LOOKOUT_CONFIG',
    )
    .option('--quick', 'measure only the configured model, in less than a minute')
    .option('--full', 'measure all models and all combinations of threads and sessions; takes hours')
    .option(
      '--models <names>',
      '`builtin`, added models, .onnx files, or members of the MobileNet family, for example v2-0.5-160-int8',
      list,
    )
    .option('--threads <counts>', 'threads per inference, for example 1,2,4', counts)
    .option('--sessions <counts>', 'numbers of parallel inferences, for example 1,2', counts)
    .option('--providers <names>', 'execution providers: cpu, cuda, tensorrt', providers)
    .option('--spinning <states>', 'values of `model.spinning`: on, off or on,off', states)
    .option('--exact <choices>', 'values of `model.exact`, for example auto,never', exactness)
    .option('--sizes <sizes>', 'frame sizes, for example 640x480,1280x720', sizes)
    .option('--sources <names>', 'raw, jpeg, demo, or cameras of the configuration', list)
    .option('--fps <rate>', 'frame rate of the paced part, in frames per second', number(0.1, 120), 5)
    .option(
      '--rounds <count>',
      'number of measurements of each point, each in its own process',
      integer(1, 64),
    )
    .option('--seconds <seconds>', 'duration of each part of a round', positive)
    .option(
      '--sustain <time>',
      'then run the fastest point of the first model until the temperature is stable, at most this long: 10m, 1h',
      time,
    )
    .option('-o, --out <name>', 'write NAME.json, NAME.csv and NAME.html')
    .option('--json', 'print the report as JSON instead of a table')
    .addHelpText(
      'after',
      '\nWithout --quick, --full or values to measure, it varies one setting at a time around the configuration.' +
        '\nWith --sustain alone, it measures only the configured settings.' +
        '\nCtrl-C ends the run and keeps the results so far.' +
        '\n\nExamples:\n  $ lookout profile --quick\n  $ lookout profile --threads 1,2,4 --sessions 1,2,4 --out pi5' +
        '\n  $ lookout profile --models v2-0.35-96-int8,v2-1-224-int8 --sustain 10m --out heat',
    )
    .action(measure);
  profile
    .command('compare')
    .description('compare two reports row by row, with confidence intervals')
    .argument('<before>', 'a .json file that `lookout profile --out` wrote')
    .argument('<after>', 'another such file')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ lookout profile compare 0.1.json 0.2.json')
    // Commander can assign an option that both commands have, such as --json, to `profile`.
    .action((before: string, after: string, _options, command: Command) =>
      compare(before, after, Boolean((command.optsWithGlobals() as { json?: true }).json)),
    );
}

async function measure({ config: file, out, json, ...options }: Options): Promise<void> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { runProfile } = await import('../profile/run-profile.ts');
  const { table } = await import('../profile/report/table.ts');
  const { checkWritable, writeReport } = await import('../profile/report/report-files.ts');
  if (options.quick && options.full)
    throw new LookoutError('USAGE', 'lookout profile: expected --quick or --full, not both');
  const config = loadConfig({ file: configFile(file) });
  const name = out?.replace(/\.(json|csv|html)$/, '');
  if (name !== undefined) await checkWritable(name);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const report = await runProfile({ ...options, config, signal: stop.signal, screen: process.stderr });
  process.stdout.write(
    json ? `${JSON.stringify(report)}\n` : table(report).split('\n').map(printable).join('\n'),
  );
  if (name !== undefined) {
    const files = await writeReport(report, name);
    process.stderr.write(`\nwrote ${files.map(printable).join(', ')}\n`);
  }
  if (report.rows.every(({ metrics }) => !metrics.pipeline_fps)) {
    const [failure] = report.rows.flatMap(({ failures }) => failures);
    if (failure) throw new LookoutError(failure.code, failure.message);
  }
}

async function compare(before: string, after: string, json: boolean): Promise<void> {
  const { readReport } = await import('../profile/report/report-files.ts');
  const { compareReports, describeComparison } = await import('../profile/compare-reports.ts');
  const comparison = compareReports(await readReport(before), await readReport(after));
  process.stdout.write(json ? `${JSON.stringify(comparison)}\n` : describeComparison(comparison));
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

function counts(text: string): number[] {
  return list(text).map(integer(1, 64));
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}

function providers(text: string): Provider[] {
  return list(text).map((name) => {
    if (name !== 'cpu' && name !== 'cuda' && name !== 'tensorrt')
      throw new InvalidArgumentError('expected cpu, cuda or tensorrt.');
    return name;
  });
}

function states(text: string): boolean[] {
  return list(text).map((state) => {
    if (state !== 'on' && state !== 'off') throw new InvalidArgumentError('expected on, off or on,off.');
    return state === 'on';
  });
}

function exactness(text: string): Exact[] {
  return list(text).map((choice) => {
    if (choice !== 'auto' && choice !== 'always' && choice !== 'never')
      throw new InvalidArgumentError('expected auto, always or never.');
    return choice;
  });
}

function sizes(text: string): { width: number; height: number }[] {
  return list(text).map((size) => {
    const [, width, height] = /^(\d+)[x×](\d+)$/.exec(size) ?? [];
    const [w, h] = [Number(width), Number(height)];
    if (!(w >= 64 && w <= 4096 && h >= 64 && h <= 4096 && w % 2 === 0 && h % 2 === 0))
      throw new InvalidArgumentError('expected sizes like 640x480, each even and from 64 to 4096.');
    return { width: w, height: h };
  });
}

/** Parses a duration like `90s`, `10m` or `1h` into seconds. */
export function time(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m|min|h)?$/.exec(text) ?? [];
  const seconds = Number(amount) * ({ s: 1, m: 60, min: 60, h: 3600 }[unit ?? 's'] ?? Number.NaN);
  if (!(seconds > 0)) throw new InvalidArgumentError('expected a duration like 90s, 10m or 1h.');
  return seconds;
}
