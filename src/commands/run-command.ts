import { isatty } from 'node:tty';
import type { Command } from 'commander';
import type { Logger } from 'pino';
import { EXIT } from '../errors.ts';
import { takeSignals } from '../runtime/signals.ts';
import type { Tuning } from '../tune/first-start.ts';
import { configFile } from './options.ts';

/** Longest wait for the logger to write its last lines. */
const FLUSH_MS = 500;

/** `lookout run`: the daemon in the foreground. */
export function runCommand(program: Command): void {
  program
    .command('run')
    .description(
      'run the daemon until it is stopped; without a configuration: demo camera, built-in model and embedded broker',
    )
    .option('-c, --config <file>', 'configuration file; by default $LOOKOUT_CONFIG, else embedded defaults')
    .addHelpText('after', '\nExamples:\n  $ lookout run\n  $ lookout run --config /etc/lookout/lookout.yaml')
    .action((options: { config?: string }) => run(options.config));
}

async function run(named: string | undefined): Promise<void> {
  // This function alone handles signals and uncaught errors.
  let requestStop: (reason: string) => void = () => {};
  const stopRequested = new Promise<string>((resolve) => {
    requestStop = resolve;
  });
  const stopping = new AbortController();
  void stopRequested.then(() => stopping.abort());
  takeSignals(requestStop);

  const { ConfigResolver } = await import('../setup/config-resolver.ts');
  const resolver = new ConfigResolver();
  // The configuration is read in a thread; the program loads in the meantime.
  const [loaded, { Daemon }, { createLogger }] = await Promise.all([
    resolver.load({ file: configFile(named) }),
    loadDaemon(),
    import('../runtime/logger.ts'),
  ]);
  if (stopping.signal.aborted) return;
  const log = createLogger(loaded.config.log);
  let tune: Tuning = (found) => found;
  let daemon: InstanceType<typeof Daemon> | null = null;

  const inTerminal = isatty(0) || isatty(1);
  process.on('SIGHUP', () => {
    if (inTerminal) requestStop('the terminal was closed');
    else daemon?.reload(async () => tune(await resolver.load({ file: configFile(named) })));
  });
  const onInternalError = (error: unknown) => {
    process.exitCode = EXIT.internal;
    log.fatal({ err: error }, 'internal error; stopping');
    requestStop('internal error');
  };
  process.once('uncaughtException', onInternalError);
  process.once('unhandledRejection', onInternalError);

  if (loaded.config.tune.first_start) {
    const { findTuning } = await import('../tune/first-start.ts');
    tune = await findTuning(loaded, { log, signal: stopping.signal });
    if (stopping.signal.aborted) return;
  }
  daemon = new Daemon(tune(loaded), { log, resolver });
  try {
    const started = daemon.start();
    const end = await Promise.race([stopRequested, started.then(() => daemon.ended)]);
    if (typeof end === 'string') log.info(`stopping: ${end}`);
    else {
      log[end.code === EXIT.ok ? 'info' : 'error'](`stopping: ${end.reason}`);
      process.exitCode = end.code;
    }
  } finally {
    await daemon.stop();
    if (daemon.stuck) await exitDespiteThreads(log);
  }
}

/** Also starts a thread for inference, to save time at the start. */
async function loadDaemon(): Promise<typeof import('../daemon.ts')> {
  const daemon = await import('../daemon.ts');
  const { warmUpInference } = await import('../vision/inference-threads.ts');
  warmUpInference();
  return daemon;
}

/**
 * Ends the process immediately with its exit code although threads hang, for which Node.js would wait forever. Replaces
 * the process with another program, which the kernel does without waiting for threads (execve(2)).
 */
async function exitDespiteThreads(log: Logger): Promise<void> {
  await new Promise((resolve) => {
    log.flush(resolve);
    setTimeout(resolve, FLUSH_MS);
  });
  process.execve?.('/bin/sh', ['sh', '-c', `exit ${process.exitCode ?? EXIT.ok}`], {});
  process.kill(process.pid, 'SIGKILL');
}
