import type { Command } from 'commander';
import { VERSION } from '../version.ts';

/** `lookout version` */
export function versionCommand(program: Command): void {
  program
    .command('version')
    .description('print the versions of Lookout, Node.js, ONNX Runtime and SQLite')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ lookout version --json')
    .action(async (options: { json?: true }) => {
      const { onnxruntime } = await import('../model/onnxruntime.ts');
      const { openDatabase } = await import('../store/sqlite.ts');
      const db = openDatabase(':memory:');
      const sqlite = db.prepare('SELECT sqlite_version()').pluck().get();
      db.close();
      const versions = {
        lookout: VERSION,
        node: process.versions.node,
        onnxruntime,
        sqlite: String(sqlite),
        platform: `${process.platform}-${process.arch}`,
      };
      const text = Object.entries(versions).map(([part, version]) => `${part} ${version}`);
      process.stdout.write(`${options.json ? JSON.stringify(versions) : text.join('\n')}\n`);
    });
}
