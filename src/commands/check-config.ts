import type { Command } from 'commander';
import { configFile } from './options.ts';

/** `lookout check-config`: everything that can be known to be wrong before a camera starts. */
export function checkConfigCommand(program: Command): void {
  program
    .command('check-config')
    .description('check a configuration file, its model and its labels; exit 78 if something is wrong')
    .argument('[file]', 'configuration file; by default $LOOKOUT_CONFIG')
    .addHelpText('after', '\nExample:\n  $ lookout check-config /etc/lookout/lookout.yaml')
    .action(async (file: string | undefined) => {
      const { loadConfig } = await import('../config/load.ts');
      const { checkFiles } = await import('../config/files.ts');
      const { redact } = await import('../platform/secrets.ts');
      const { prepare } = await import('../prepare.ts');
      const { labelsOf } = await import('../prepared.ts');
      const loaded = loadConfig({ file: configFile(file) });
      const unread = await checkFiles(loaded.config);
      const { models, cameras } = await prepare(loaded);
      for (const warning of [...loaded.warnings, ...unread]) process.stderr.write(`warning: ${warning}\n`);
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
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}
