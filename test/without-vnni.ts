/**
 * Runs a command as on an x86 processor with AVX2 and nothing newer:
 * `scripts/node test/without-vnni.ts npm test`, `scripts/node test/without-vnni.ts npm run bench -- --quick`.
 */
import { spawnSync } from 'node:child_process';
import { requiresVnniSwitch, withoutVnni } from './support/processor-without-vnni.ts';

const [command, ...args] = process.argv.slice(2);
const reason = requiresVnniSwitch();
if (reason) throw new Error(reason);
const { status } = spawnSync(command!, args, {
  stdio: 'inherit',
  env: { ...process.env, ...withoutVnni() },
});
process.exitCode = status ?? 1;
