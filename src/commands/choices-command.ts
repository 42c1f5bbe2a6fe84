import type { Command } from 'commander';
import type { Choice } from '../store/store-types.ts';
import { type LogOptions, loadLogConfig, openLog, withLog } from './log-options.ts';

/** Longest wait for the daemon to carry a command out, and how often to look, in ms. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

/** `lookout choices`: what was chosen over MQTT in place of the configuration. */
export function choicesCommand(program: Command): void {
  const choices = program
    .command('choices')
    .description('settings that were chosen over MQTT and count in place of the configuration');
  withLog(choices.command('list').description('list them'))
    .option('--json', 'print one JSON object per line')
    .action(async (options: LogOptions & { json?: true }) => {
      const found = await read(options);
      process.stdout.write(found.map(options.json ? jsonLine : readableLine).join(''));
      if (found.length === 0 && !options.json)
        process.stderr.write('nothing was chosen: the configuration counts\n');
    });
  withLog(choices.command('clear').description('take them back, so that the configuration counts again'))
    .argument('[camera]', 'those of this camera; by default of all')
    .argument('[setting]', 'this one: enabled, detect, threshold or model; by default all')
    .addHelpText('after', '\nExample:\n  $ lookout choices clear gate enabled')
    .action(async (camera: string | undefined, setting: string | undefined, options: LogOptions) => {
      const meant = (choice: Choice) =>
        (camera === undefined || choice.camera === camera) &&
        (setting === undefined || choice.setting === setting);
      const found = (await read(options)).filter(meant);
      if (found.length > 0) await clear(options, found);
      for (const choice of found) process.stdout.write(`taken back: ${readableLine(choice)}`);
      if (found.length === 0) process.stderr.write('nothing of that was chosen\n');
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

/** Writes to the database or, if a daemon has it, has that do so. */
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
    await taken(options, found);
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

/** Waits until the daemon has forgotten the choices. */
async function taken(options: LogOptions, sent: readonly Choice[]): Promise<void> {
  const { LookoutError } = await import('../errors.ts');
  const { setTimeout: wait } = await import('node:timers/promises');
  const same = (a: Choice, b: Choice) => a.camera === b.camera && a.setting === b.setting;
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await wait(LOOK_MS)) {
    const left = await read(options);
    if (!sent.some((choice) => left.some((other) => same(choice, other)))) return;
  }
  throw new LookoutError(
    'MQTT_FORBIDDEN',
    'the daemon that runs has not taken the choices back: the commands did not reach it through its broker',
    {
      hint: 'Allow this device to write to <base>/<device>/+/+/set in the access rules of the broker, or stop the daemon and try again.',
    },
  );
}

function jsonLine({ camera, setting, value, configured, chosenAt }: Choice): string {
  return `${JSON.stringify({
    ...{ camera, setting, value: JSON.parse(value) as unknown },
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
