import type { Command } from 'commander';
import type { Survey } from '../capture/discover.ts';
import { printable } from '../runtime/printable.ts';

/** `lookout cameras`: what this machine has, and what `kind: auto` would take. */
export function cameraCommand(program: Command): void {
  program
    .command('cameras')
    .description('list the cameras this machine has and the one that `kind: auto` would take')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ lookout cameras --json')
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
      'Network cameras are not searched for: give their address as `source: { kind: rtsp, url: … }`.',
      '',
    ].join('\n');
  }
  const lines = found.map(({ description: raw, reason }, i) => {
    const description = printable(raw);
    return i === 0 ? `* ${description}\n    \`kind: auto\` takes this one: ${reason}` : `  ${description}`;
  });
  return `${lines.join('\n')}\n`;
}
