import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import { printable } from '../runtime/printable.ts';
import { configFile } from './options.ts';

interface Options {
  config?: string;
  json?: true;
  bundle?: string;
}

/** `lookout doctor` */
export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'check cameras, permissions, models, broker, disk, clock, power and temperature; exits with 1 if a check fails',
    )
    .option(
      '-c, --config <file>',
      'configuration of the daemon; by default $LOOKOUT_CONFIG, else embedded defaults',
    )
    .option('--json', 'print JSON')
    .option('--bundle <file>', 'also write a support archive (.tar.gz) without passwords')
    .addHelpText(
      'after',
      '\nExamples:\n  $ sudo -u lookout lookout doctor\n  $ lookout doctor --bundle support.tar.gz',
    )
    .action(diagnose);
}

async function diagnose({ config, json, bundle }: Options): Promise<void> {
  const { runChecks } = await import('../doctor/run-checks.ts');
  const { worst } = await import('../doctor/check.ts');
  const { report } = await import('../doctor/report.ts');
  const result = await runChecks({ file: configFile(config) });
  const { findings } = result;
  const verdict = worst(findings);
  process.stdout.write(json ? `${JSON.stringify({ verdict, findings })}\n` : report(findings));
  if (bundle !== undefined) {
    const { writeBundle } = await import('../doctor/bundle.ts');
    await writeBundle(bundle, result);
    process.stderr.write(`Wrote ${printable(bundle)}. Read it before you share it.\n`);
  }
  if (verdict === 'fail') process.exitCode = EXIT.unhealthy;
}
