/**
 * Runs a command as on an x86 processor with AVX2 and nothing newer:
 * `scripts/node test/modest.ts npm test`, `scripts/node test/modest.ts npm run bench -- --quick`.
 */
import { spawnSync } from 'node:child_process';
import { modestProcessor, requiresModestProcessor } from './support/modest-processor.ts';

const [command, ...args] = process.argv.slice(2);
const reason = requiresModestProcessor();
if (reason) throw new Error(reason);
const { status } = spawnSync(command!, args, {
  stdio: 'inherit',
  env: { ...process.env, ...modestProcessor() },
});
process.exitCode = status ?? 1;
