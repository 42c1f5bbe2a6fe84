import type { Command } from 'commander';
import type { LoadedConfig } from '../config/load-config.ts';
import { EXIT, LookoutError } from '../errors.ts';
import { printable } from '../runtime/printable.ts';
import { configFile } from './options.ts';

/** `lookout check-config`: reports everything that can be checked before a camera starts. */
export function checkConfigCommand(program: Command): void {
  program
    .command('check-config')
    .description(
      'check a configuration file, its models and labels, and what its cameras need; exits with 78 if something is wrong',
    )
    .argument('[file]', 'configuration file; by default $LOOKOUT_CONFIG')
    .addHelpText('after', '\nExample:\n  $ lookout check-config /etc/lookout/lookout.yaml')
    .action(async (file: string | undefined) => {
      const { loadConfig } = await import('../config/load-config.ts');
      const { checkFiles, outerSpaces } = await import('../setup/config-files.ts');
      const { redact } = await import('../runtime/secrets.ts');
      const { resolveConfig } = await import('../setup/resolve.ts');
      const { labelsOf } = await import('../setup/resolved.ts');
      const loaded = loadConfig({ file: configFile(file) });
      const unreadable = await checkFiles(loaded.config);
      const spaces = await outerSpaces(loaded.config);
      const { models, cameras } = await resolveConfig(loaded);
      const { warnings, errors } = await missingNeeds(loaded);
      for (const warning of [...loaded.warnings, ...unreadable, ...spaces, ...warnings])
        process.stderr.write(`warning: ${printable(warning)}\n`);
      if (errors.length > 0) {
        process.stderr.write(`${errors.map(printable).join('\n')}\n`);
        process.exitCode = EXIT.config;
        return;
      }
      const lines = [
        `${loaded.file ?? 'embedded defaults'}: ok`,
        `device    ${loaded.config.device}`,
        `data      ${loaded.config.data_dir}`,
        ...[...models].map(
          ([name, { description }], i) =>
            `model     ${i === 0 ? '' : `${name}: `}${description.name} (${description.labels.length} labels)`,
        ),
        `mqtt      ${loaded.config.mqtt.enabled ? redact(loaded.config.mqtt.url) : 'off'}`,
        ...[...cameras].map(
          ([name, camera]) =>
            `camera    ${name} (${camera.config.source.kind}): ${Object.keys(labelsOf(camera.models)).join(', ')}`,
        ),
      ];
      process.stdout.write(`${lines.map(printable).join('\n')}\n`);
    });
}

/**
 * What the cameras need and is missing. A missing program is a warning, because the configuration may be for another
 * machine; a missing file to replay is an error.
 */
async function missingNeeds({ config }: LoadedConfig): Promise<{ warnings: string[]; errors: string[] }> {
  const { requireNeeds } = await import('../capture/source-needs.ts');
  const { systemClock } = await import('../runtime/clock.ts');
  const { pino } = await import('pino');
  const context = { clock: systemClock, log: pino({ level: 'silent' }), env: process.env, root: '/' };
  const missing = { warnings: [] as string[], errors: [] as string[] };
  for (const [name, { source, enabled }] of Object.entries(config.cameras)) {
    if (!enabled) continue;
    try {
      await requireNeeds(source, context);
    } catch (error) {
      if (!(error instanceof LookoutError)) throw error;
      const { code, message, hint } = error;
      if (code === 'CAPTURE_PROGRAM_MISSING') missing.warnings.push(`camera ${name}: ${message}: ${hint}`);
      else missing.errors.push(`${code}: camera ${name}: ${message}`);
    }
  }
  return missing;
}
