/** argv → command. Every command lives in src/commands and loads what it needs only when it runs. */

import { Command, CommanderError } from 'commander';
import { cameraCommand } from './commands/cameras.ts';
import { checkConfigCommand } from './commands/check-config.ts';
import { choicesCommand } from './commands/choices.ts';
import { classifyCommand } from './commands/classify.ts';
import { cleanCommand } from './commands/clean.ts';
import { doctorCommand } from './commands/doctor.ts';
import { eventsCommand } from './commands/events.ts';
import { exportCommand } from './commands/export.ts';
import { modelCommand } from './commands/model.ts';
import { profileCommand } from './commands/profile.ts';
import { runCommand } from './commands/run.ts';
import { schemaCommand } from './commands/schema.ts';
import { tuneCommand } from './commands/tune.ts';
import { versionCommand } from './commands/version.ts';
import { EXIT, LookoutError, outputFailed } from './errors.ts';
import { printable, printableLines } from './platform/printable.ts';
import { requireProcessor } from './platform/processor.ts';
import { redact } from './platform/secrets.ts';
import { adoptTimeZone } from './platform/time-zone.ts';
import { VERSION } from './version.ts';

const program = new Command('lookout')
  .description('Watches cameras, classifies what moves, logs it to SQLite and tells the house over MQTT.')
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'explain a command')
  .showHelpAfterError('(lookout --help lists the commands)')
  .configureOutput({
    outputError: (text, write) => write(text.split('\n').map(printable).join('\n')),
  })
  .exitOverride();

for (const register of [
  runCommand,
  checkConfigCommand,
  cameraCommand,
  choicesCommand,
  classifyCommand,
  cleanCommand,
  doctorCommand,
  eventsCommand,
  exportCommand,
  modelCommand,
  profileCommand,
  schemaCommand,
  tuneCommand,
  versionCommand,
]) {
  register(program);
}

program.hook('preAction', (_program, command) => {
  if (command.name() !== 'version') requireProcessor();
});

// A reader that has seen enough (`lookout events | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') fail(outputFailed('standard output', error));
});

const zoneWarning = adoptTimeZone(process.env, Date.now());
if (zoneWarning !== null) process.stderr.write(`${zoneWarning}\n`);
try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else if (error instanceof LookoutError) {
    const lines = error.hint === undefined ? [error.message] : [error.message, error.hint];
    say(`${error.code}: ${lines.map(printableLines).join('\n')}\n`);
    process.exitCode = error.exitCode;
  } else {
    say(`INTERNAL: ${printableLines((error instanceof Error && error.stack) || String(error))}\n`);
    process.exitCode = EXIT.internal;
  }
}

function say(text: string): void {
  process.stderr.write(redact(text));
}
