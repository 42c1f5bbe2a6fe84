import type { Command } from 'commander';

/** `lookout cameras`: what this machine has, and what `kind: auto` would take. */
export function cameraCommand(program: Command): void {
  program
    .command('cameras')
    .description('list the cameras this machine has and the one that `kind: auto` would take')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ lookout cameras --json')
    .action(async (options: { json?: true }) => {
      const { discoverCameras } = await import('../capture/discover.ts');
      const found = await discoverCameras();
      if (options.json) process.stdout.write(`${JSON.stringify(found)}\n`);
      else if (found.length === 0) {
        process.stdout.write(
          'No camera found. Network cameras are not searched for: give their address in the config.\n',
        );
      } else {
        for (const [i, camera] of found.entries()) {
          process.stdout.write(`${i === 0 ? '* ' : '  '}${camera.description}\n`);
        }
        process.stdout.write('\n* is what `kind: auto` takes.\n');
      }
    });
}
