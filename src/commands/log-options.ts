/** What the commands that read the log have in common. */
import type { Command } from 'commander';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Reader } from '../store/log-reader.ts';
import { configFile } from './options.ts';

export interface LogOptions {
  config?: string;
  dataDir?: string;
}

/** Adds the options that say where the log is. */
export function withLog(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'the daemon’s configuration; by default $LOOKOUT_CONFIG, else embedded defaults',
    )
    .option('--data-dir <folder>', 'the daemon’s data folder, in place of `data_dir`');
}

/**
 * Reads the configuration that the options name.
 * @throws LookoutError CONFIG_*
 */
export async function loadLogConfig({ config, dataDir }: LogOptions): Promise<LoadedConfig> {
  const { resolve } = await import('node:path');
  const { loadConfig } = await import('../config/load-config.ts');
  const folder = dataDir === undefined ? {} : { LOOKOUT__data_dir: resolve(dataDir) };
  return loadConfig({ file: configFile(config), env: { ...process.env, ...folder } });
}

/**
 * Opens the log that the options name.
 * @throws LookoutError CONFIG_* or STORE_*
 */
export async function openLog(options: LogOptions): Promise<Reader> {
  const { Reader } = await import('../store/log-reader.ts');
  const loaded = await loadLogConfig(options);
  return new Reader(loaded.config.store.file);
}
