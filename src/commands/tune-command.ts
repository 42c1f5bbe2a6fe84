import { type Command, InvalidArgumentError } from 'commander';
import type { LoadedConfig } from '../config/load-config.ts';
import { printable } from '../runtime/printable.ts';
import type { Goal } from '../tune/choose-point.ts';
import type { Setting } from '../tune/config-file.ts';
import type { Choice } from '../tune/tuning-cache.ts';
import { configFile, number } from './options.ts';
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
  /** In seconds. */
  within?: number;
  json?: true;
}

/** `lookout tune`: finds the settings with which this board reaches a goal, and writes them to the configuration. */
export function tuneCommand(program: Command): void {
  program
    .command('tune')
    .description(
      'find the model, threads, sessions and frame size for a goal, and write them to the configuration',
    )
    .option('-c, --config <file>', 'configuration to tune; by default $LOOKOUT_CONFIG')
    .option('--fps <rate>', 'frames per second of each camera; by default the configured rate', rate)
    .option('--max-fps', 'reach as many frames per second as possible')
    .option('--min-idle <percent>', 'percentage of all cores that must stay idle', percent, 50)
    .option('--max-temp <celsius>', 'temperature in °C that the board must stay below', number(30, 110))
    .option(
      '--allow-inexact',
      'also try `model.exact: never`, which is faster on x86 without VNNI but makes scores wrong, and report how wrong',
    )
    .option('--dry-run', 'only print what would be written')
    .option('--fresh', 'measure again instead of using earlier measurements')
    .option('--within <time>', 'start no measurement after this time, for example 2m', time)
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
    process.stderr.write('Stopped early: no settings were chosen.\n');
    process.exitCode = EXIT.internal;
    return;
  }
  const { choice, cached } = tuned;
  const settings = settingsOf(choice, options, config);
  if (options.json) process.stdout.write(`${JSON.stringify({ choice, cached, settings })}\n`);
  else process.stdout.write(describe(choice, cached, settings));
  if (options.dryRun) return;
  if (config.file === null) {
    process.stdout.write('Nothing was written: there is no configuration file. Name one with --config.\n');
    return;
  }
  const { changeConfig } = await import('../tune/config-file.ts');
  await changeConfig(config.file, settings);
  if (!options.json)
    process.stdout.write(`Wrote the settings to ${printable(config.file)}. Restart Lookout to apply them.\n`);
}

function goalOf({ fps, maxFps, minIdle, maxTemp }: Options, { config }: LoadedConfig): Goal {
  const cameras = Object.values(config.cameras);
  const rates = cameras.map(({ source }) =>
    source.kind === 'libcamera' && source.mode === 'still' ? 1 / source.interval : source.fps,
  );
  const target = maxFps ? null : (fps ?? Math.max(...rates));
  return { fps: target, cameras: cameras.length, minIdle, maxTemperature: maxTemp ?? null };
}

/** The settings to write for a choice. */
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
      // A USB camera supports only certain sizes, and a custom pipeline has its own.
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
  if (!(value > 0 && value <= 120))
    throw new InvalidArgumentError('expected a number above 0 and up to 120.');
  return value;
}

function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''));
  if (!(value >= 0 && value < 100))
    throw new InvalidArgumentError('expected a percentage like 50%, from 0 to 99.');
  return value;
}
