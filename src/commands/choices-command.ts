import type { Command } from 'commander';
import type { Choice } from '../store/store-types.ts';
import { type LogOptions, loadLogConfig, openLog, withLog } from './options.ts';

/** Longest wait for the daemon to execute the commands, and the interval of polling the database. */
const TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** `lookout choices`: runtime settings. */
export function choicesCommand(program: Command): void {
  const choices = program
    .command('choices')
    .description('list or clear runtime settings: those set over MQTT, which override the configuration')
    .addHelpText('after', '\nExamples:\n  $ lookout choices list\n  $ lookout choices clear gate enabled');
  withLog(choices.command('list').description('list the runtime settings'))
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', '\nExample:\n  $ lookout choices list')
    .action(async (options: LogOptions & { json?: true }) => {
      const found = await read(options);
      process.stdout.write(found.map(options.json ? jsonLine : readableLine).join(''));
      if (found.length === 0 && !options.json)
        process.stderr.write('no runtime settings: the configuration applies\n');
    });
  withLog(
    choices.command('clear').description('clear runtime settings, so that the configuration applies again'),
  )
    .argument('[camera]', 'camera whose settings to clear; by default all cameras')
    .argument('[setting]', 'setting to clear: enabled, detect, threshold or model; by default all')
    .addHelpText('after', '\nExample:\n  $ lookout choices clear gate enabled')
    .action(async (camera: string | undefined, setting: string | undefined, options: LogOptions) => {
      const matches = (choice: Choice) =>
        (camera === undefined || choice.camera === camera) &&
        (setting === undefined || choice.setting === setting);
      const found = (await read(options)).filter(matches);
      if (found.length > 0) await clear(options, found);
      for (const choice of found) process.stdout.write(`cleared: ${readableLine(choice)}`);
      if (found.length === 0) process.stderr.write('no such runtime settings: nothing to clear\n');
    });
}

async function read(options: LogOptions): Promise<Choice[]> {
  const reader = await openLog(options);
  try {
    return reader.choices();
  } finally {
    reader.close();
  }
}

/** Deletes the choices from the database or, if a daemon is running, sends it commands to do so. */
async function clear(options: LogOptions, found: readonly Choice[]): Promise<void> {
  const { openForWriting } = await import('../store/database.ts');
  const { lockForWriting, realFile } = await import('../store/lock.ts');
  const { LookoutError } = await import('../errors.ts');
  const { config } = await loadLogConfig(options);
  const file = realFile(config.store.file);
  let unlock: () => void;
  try {
    unlock = await lockForWriting(file);
  } catch (error) {
    if (!(error instanceof LookoutError && error.code === 'STORE_LOCKED')) throw error;
    const { sendResets } = await import('../publish/resets.ts');
    await sendResets(config, found);
    await waitUntilCleared(options, found);
    return;
  }
  try {
    const { backUpChoices } = await import('../store/backup.ts');
    const { writeChoices } = await import('../store/choice-rows.ts');
    const db = openForWriting(file);
    writeChoices(db, { keep: [], forget: [...found] });
    backUpChoices(db, file);
    db.close();
  } finally {
    unlock();
  }
}

/** Waits until the daemon has deleted the choices from the database. */
async function waitUntilCleared(options: LogOptions, sent: readonly Choice[]): Promise<void> {
  const { LookoutError } = await import('../errors.ts');
  const { setTimeout: wait } = await import('node:timers/promises');
  const same = (a: Choice, b: Choice) => a.camera === b.camera && a.setting === b.setting;
  for (const end = performance.now() + TIMEOUT_MS; performance.now() < end; await wait(POLL_MS)) {
    const left = await read(options);
    if (!sent.some((choice) => left.some((other) => same(choice, other)))) return;
  }
  throw new LookoutError(
    'MQTT_FORBIDDEN',
    `the running daemon did not clear the settings within ${TIMEOUT_MS / 1000} s: the commands did not reach it through its broker`,
    {
      hint: 'Allow this device to write to <base>/<device>/+/+/set in the access rules of the broker, or stop the daemon and retry.',
    },
  );
}

function jsonLine({ camera, setting, value, configured, chosenAt }: Choice): string {
  return `${JSON.stringify({
    camera,
    setting,
    value: JSON.parse(value) as unknown,
    configured: JSON.parse(configured) as unknown,
    chosen_at: new Date(chosenAt).toISOString(),
  })}\n`;
}

/** `gate          enabled    OFF       since 2026-05-01 12:00:00  configured: ON` */
function readableLine({ camera, setting, value, configured, chosenAt }: Choice): string {
  const show = (json: string) =>
    json
      .replace(/^true$/, 'ON')
      .replace(/^false$/, 'OFF')
      .replaceAll('"', '');
  const columns = [
    camera.padEnd(12),
    setting.padEnd(9),
    show(value).padEnd(8),
    `since ${new Date(chosenAt).toLocaleString('sv-SE')}`,
    `configured: ${setting === 'threshold' ? 'by label' : show(configured)}`,
  ];
  return `${columns.join('  ')}\n`;
}
