import type { Command } from 'commander';
import type { Survey } from '../capture/discover.ts';
import { printable } from '../runtime/printable.ts';

/** `lookout cameras` */
export function cameraCommand(program: Command): void {
  program
    .command('cameras')
    .description('list the cameras of this machine and the one that `kind: auto` would use')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  $ lookout cameras\n  $ lookout cameras --json')
    .action(async (options: { json?: true }) => {
      const { surveyCameras } = await import('../capture/discover.ts');
      const survey = await surveyCameras();
      process.stdout.write(options.json ? `${JSON.stringify(survey.found)}\n` : describe(survey));
    });
}

function describe({ found, missing }: Survey): string {
  if (found.length === 0) {
    return [
      'No camera found on this machine.',
      ...missing.map((line) => `  ${printable(line)}`),
      'This command does not search for network cameras. Set their URL as `source: { kind: rtsp, url: … }`.',
      '',
    ].join('\n');
  }
  const lines = found.map(({ description: raw, reason }, i) => {
    const description = printable(raw);
    return i === 0 ? `* ${description}\n    \`kind: auto\` uses this camera: ${reason}` : `  ${description}`;
  });
  return `${lines.join('\n')}\n`;
}
