/** Parses the command line and runs a command. Each command loads what it needs only when it runs. */

import { Command, CommanderError } from 'commander';
import { requireProcessor } from '../board/processor.ts';
import { EXIT, LookoutError, outputFailed } from '../errors.ts';
import { printable, printableLines } from '../runtime/printable.ts';
import { redact } from '../runtime/secrets.ts';
import { adoptTimeZone } from '../runtime/time-zone.ts';
import { VERSION } from '../version.ts';
import { cameraCommand } from './cameras-command.ts';
import { checkConfigCommand } from './check-config-command.ts';
import { choicesCommand } from './choices-command.ts';
import { classifyCommand } from './classify-command.ts';
import { cleanCommand } from './clean-command.ts';
import { doctorCommand } from './doctor-command.ts';
import { eventsCommand } from './events-command.ts';
import { exportCommand } from './export-command.ts';
import { modelCommand } from './model-command.ts';
import { profileCommand } from './profile-command.ts';
import { runCommand } from './run-command.ts';
import { schemaCommand } from './schema-command.ts';
import { tuneCommand } from './tune-command.ts';
import { versionCommand } from './version-command.ts';

const program = new Command('lookout')
  .description(
    'Watches cameras, classifies what moves, records events in SQLite and publishes them over MQTT.',
  )
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show help for a command')
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

// EPIPE is not an error: the reader has closed the pipe, as in `lookout events | head`.
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
    writeError(`${error.code}: ${lines.map(printableLines).join('\n')}\n`);
    process.exitCode = error.exitCode;
  } else {
    writeError(`INTERNAL: ${printableLines((error instanceof Error && error.stack) || String(error))}\n`);
    process.exitCode = EXIT.internal;
  }
}

function writeError(text: string): void {
  process.stderr.write(redact(text));
}
