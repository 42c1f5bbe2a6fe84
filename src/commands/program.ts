/** Parses the command line, and loads and runs the named command. Each command is a file in src/commands. */
import { Command, CommanderError } from 'commander';
import { requireProcessor } from '../board/processor.ts';
import { EXIT, LookoutError, outputFailed } from '../errors.ts';
import { printable, printableLines } from '../runtime/printable.ts';
import { redact } from '../runtime/secrets.ts';
import { adoptTimeZone } from '../runtime/time-zone.ts';
import { VERSION } from '../version.ts';

type Register = (program: Command) => void;

/** By the name of each command, in the order of the help: what registers it. */
const COMMANDS: Record<string, () => Promise<Register>> = {
  run: async () => (await import('./run-command.ts')).runCommand,
  'check-config': async () => (await import('./check-config-command.ts')).checkConfigCommand,
  cameras: async () => (await import('./cameras-command.ts')).cameraCommand,
  choices: async () => (await import('./choices-command.ts')).choicesCommand,
  classify: async () => (await import('./classify-command.ts')).classifyCommand,
  clean: async () => (await import('./clean-command.ts')).cleanCommand,
  detect: async () => (await import('./detect-command.ts')).detectCommand,
  doctor: async () => (await import('./doctor-command.ts')).doctorCommand,
  events: async () => (await import('./events-command.ts')).eventsCommand,
  export: async () => (await import('./export-command.ts')).exportCommand,
  model: async () => (await import('./model-command.ts')).modelCommand,
  profile: async () => (await import('./profile-command.ts')).profileCommand,
  schema: async () => (await import('./schema-command.ts')).schemaCommand,
  tune: async () => (await import('./tune-command.ts')).tuneCommand,
  version: async () => (await import('./version-command.ts')).versionCommand,
};

const program = new Command('lookout')
  .description(
    'Watches cameras, classifies what moves, records events in SQLite and publishes them over MQTT.',
  )
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show help for a command')
  .helpCommand('help [command]', 'show help for a command')
  .showHelpAfterError('(lookout --help lists the commands)')
  .configureOutput({
    outputError: (text, write) => write(text.split('\n').map(printable).join('\n')),
  })
  .exitOverride();

// Loading all commands takes longer than running most of them: only the help and a misspelt name need all.
const named = process.argv[2] ?? '';
const registers = Object.hasOwn(COMMANDS, named) ? [COMMANDS[named]!] : Object.values(COMMANDS);
for (const register of await Promise.all(registers.map((load) => load()))) register(program);

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
