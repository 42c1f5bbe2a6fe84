import { type Command, InvalidArgumentError } from 'commander';
import type { LoadedConfig } from '../config/load-config.ts';
import { printable } from '../runtime/printable.ts';
import type { Goal } from '../tune/choose-point.ts';
import type { Setting } from '../tune/config-file.ts';
import type { Choice } from '../tune/tuning-cache.ts';
import { configFile } from './options.ts';
import { time } from './profile-command.ts';

interface Options {
  config?: string;
  fps?: number;
  maxFps?: true;
  minIdle: number;
  maxTemp?: number;
  dryRun?: true;
  fresh?: true;
  allowInexact?: true;
  /** Seconds. */
  within?: number;
  json?: true;
}

/** `lookout tune`: finds the settings with which this board serves a goal, and writes them. */
export function tuneCommand(program: Command): void {
  program
    .command('tune')
    .description(
      'find encoding, threads, sessions and picture size for a goal, and write them to the configuration',
    )
    .option('-c, --config <file>', 'configuration to tune; by default $LOOKOUT_CONFIG')
    .option('--fps <rate>', 'frames per second of each camera; by default what is configured', rate)
    .option('--max-fps', 'as many frames per second as there can be')
    .option('--min-idle <percent>', 'share of all cores that must stay idle', percent, 50)
    .option('--max-temp <celsius>', 'temperature that the board must stay below', celsius)
    .option(
      '--allow-inexact',
      'also try `model.exact: never`, which is faster on x86 without VNNI but answers wrongly, and say how wrongly',
    )
    .option('--dry-run', 'only say what would be written')
    .option('--fresh', 'measure again what was measured before')
    .option('--within <time>', 'measure nothing more after this long, such as 2m', time)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lookout tune --config lookout.yaml --fps 5 --min-idle 50%\n  $ lookout tune --max-fps --max-temp 70 --dry-run',
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { EXIT, LookoutError } = await import('../errors.ts');
  const { loadConfig } = await import('../config/load-config.ts');
  const { tune } = await import('../tune/search.ts');
  if (options.fps !== undefined && options.maxFps) {
    throw new LookoutError('USAGE', 'lookout tune: expected --fps or --max-fps, not both');
  }
  const config = loadConfig({ file: configFile(options.config) });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const goal = goalOf(options, config);
  const fresh = options.fresh ?? false;
  const withinMs = options.within === undefined ? undefined : 1000 * options.within;
  const inexact = options.allowInexact ?? false;
  const how = { fresh, inexact, withinMs, signal: stop.signal, screen: process.stderr };
  const tuned = await tune({ config, goal, ...how }).catch((error: unknown) => {
    if (stop.signal.aborted) return null;
    throw error;
  });
  if (!tuned) {
    process.stderr.write('Ended before its time: nothing was chosen.\n');
    process.exitCode = EXIT.internal;
    return;
  }
  const { choice, cached } = tuned;
  const settings = settingsOf(choice, options, config);
  if (options.json) process.stdout.write(`${JSON.stringify({ choice, cached, settings })}\n`);
  else process.stdout.write(describe(choice, cached, settings));
  if (options.dryRun) return;
  if (config.file === null) {
    process.stdout.write('There is no configuration file to write them to; name one with --config.\n');
    return;
  }
  const { changeConfig } = await import('../tune/config-file.ts');
  await changeConfig(config.file, settings);
  if (!options.json)
    process.stdout.write(`Written to ${printable(config.file)}; it counts from the next start.\n`);
}

function goalOf({ fps, maxFps, minIdle, maxTemp }: Options, { config }: LoadedConfig): Goal {
  const cameras = Object.values(config.cameras);
  const rates = cameras.map(({ source }) =>
    source.kind === 'libcamera' && source.mode === 'still' ? 1 / source.interval : source.fps,
  );
  const wanted = maxFps ? null : (fps ?? Math.max(...rates));
  return { fps: wanted, cameras: cameras.length, minIdle, maxTemperature: maxTemp ?? null };
}

/** What must be written so that the choice counts. */
export function settingsOf(
  { file, threads, sessions, spinning, exact, width, height }: Choice,
  { fps, maxTemp }: Pick<Options, 'fps' | 'maxTemp'>,
  { config }: LoadedConfig,
): Setting[] {
  const cameras = Object.entries(config.cameras);
  const first = cameras[0]![1].source;
  const smaller = width !== first.width || height !== first.height;
  return [
    ...(file === null ? [] : [{ path: ['model', 'file'], value: file }]),
    { path: ['model', 'threads'], value: threads },
    { path: ['model', 'sessions'], value: sessions },
    { path: ['model', 'spinning'], value: spinning },
    ...(exact === null ? [] : [{ path: ['model', 'exact'], value: exact }]),
    ...cameras.flatMap(([name, { source }]) => [
      // A USB camera has the sizes that it has, and a pipeline of one's own gives what it gives.
      ...(smaller && source.kind !== 'v4l2' && !(source.kind === 'gstreamer' && source.pipeline)
        ? [
            { path: ['cameras', name, 'source', 'width'], value: width },
            { path: ['cameras', name, 'source', 'height'], value: height },
          ]
        : []),
      ...(fps === undefined ? [] : [{ path: ['cameras', name, 'source', 'fps'], value: fps }]),
    ]),
    ...(maxTemp === undefined ? [] : [{ path: ['thermal', 'limit'], value: maxTemp }]),
  ];
}

function describe({ lines, at }: Choice, cached: boolean, settings: readonly Setting[]): string {
  const list = settings.map(({ path, value }) => `  ${path.join('.')}: ${value}`);
  const when = cached ? [`(measured ${at.slice(0, 16)}; --fresh measures again)`] : [];
  return `${[...lines, ...when, ...list].map(printable).join('\n')}\n`;
}

function rate(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 120)) throw new InvalidArgumentError('expected a rate above 0, at most 120.');
  return value;
}

function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''));
  if (!(value >= 0 && value < 100)) throw new InvalidArgumentError('expected a share such as 50%, 0…99.');
  return value;
}

function celsius(text: string): number {
  const value = Number(text);
  if (!(value >= 30 && value <= 110)) throw new InvalidArgumentError('expected 30…110 °C.');
  return value;
}
