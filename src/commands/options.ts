/** Options and parsers of arguments that several commands share. */
import { type Command, InvalidArgumentError } from 'commander';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Reader } from '../store/log-reader.ts';

/** The configuration file of a command: the named one, else $LOOKOUT_CONFIG, else undefined (defaults). */
export function configFile(named: string | undefined): string | undefined {
  return named ?? (process.env.LOOKOUT_CONFIG || undefined);
}

/** A parser of numbers from `low` to `high`. */
export function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`expected a number from ${low} to ${high}.`);
  };
}

/** A parser of integers from `low` to `high`. */
export function integer(low: number, high = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && text.trim() !== '' && value >= low && value <= high) return value;
    const range = high === Number.POSITIVE_INFINITY ? `of at least ${low}` : `from ${low} to ${high}`;
    throw new InvalidArgumentError(`expected an integer ${range}.`);
  };
}

export interface LogOptions {
  config?: string;
  dataDir?: string;
}

/** Adds the options that locate the database of the daemon. */
export function withLog(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'configuration of the daemon; by default $LOOKOUT_CONFIG, else embedded defaults',
    )
    .option('--data-dir <folder>', 'data folder of the daemon; overrides `data_dir`');
}

/**
 * Loads the configuration that the options name.
 * @throws LookoutError CONFIG_*
 */
export async function loadLogConfig({ config, dataDir }: LogOptions): Promise<LoadedConfig> {
  const { resolve } = await import('node:path');
  const { loadConfig } = await import('../config/load-config.ts');
  const folder = dataDir === undefined ? {} : { LOOKOUT__data_dir: resolve(dataDir) };
  return loadConfig({ file: configFile(config), env: { ...process.env, ...folder } });
}

/**
 * Opens the database that the options name.
 * @throws LookoutError CONFIG_* or STORE_*
 */
export async function openLog(options: LogOptions): Promise<Reader> {
  const { Reader } = await import('../store/log-reader.ts');
  const loaded = await loadLogConfig(options);
  return new Reader(loaded.config.store.file);
}
