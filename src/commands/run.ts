import { isatty } from 'node:tty';
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import { configFile } from './options.ts';

/** `lookout run`: the daemon in the foreground. */
export function runCommand(program: Command): void {
  program
    .command('run')
    .description(
      'watch the cameras until stopped; without a configuration: demo camera, built-in model and broker',
    )
    .option('-c, --config <file>', 'configuration file; by default $LOOKOUT_CONFIG, else embedded defaults')
    .addHelpText('after', '\nExamples:\n  $ lookout run\n  $ lookout run --config /etc/lookout/lookout.yaml')
    .action((options: { config?: string }) => run(options.config));
}

async function run(named: string | undefined): Promise<void> {
  const { loadConfig } = await import('../config/load.ts');
  const { Daemon } = await import('../daemon.ts');
  const { createLogger } = await import('../platform/logger.ts');

  const loaded = loadConfig({ file: configFile(named) });
  const log = createLogger(loaded.config.log);
  const daemon = new Daemon(loaded, { log });

  // The one owner of signals and of what nobody caught.
  const stopRequested = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    const inTerminal = isatty(0) || isatty(1);
    process.on('SIGHUP', () => {
      if (inTerminal) resolve('the terminal was closed');
      else daemon.reload(() => loadConfig({ file: configFile(named) }));
    });
    const broken = (error: unknown) => {
      process.exitCode = EXIT.internal;
      log.fatal({ err: error }, 'internal error, stopping');
      resolve('internal error');
    };
    process.once('uncaughtException', broken);
    process.once('unhandledRejection', broken);
  });

  try {
    await daemon.start();
    const reason = await Promise.race([stopRequested, daemon.ended]);
    log.info(`stopping: ${reason}`);
  } finally {
    await daemon.stop();
  }
}
