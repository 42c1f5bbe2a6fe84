import { execFile } from 'node:child_process';
import { tempFolder } from './daemon.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `lookout` with the arguments to its end, in an empty folder unless one is named. */
export function lookout(
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Result> {
  const { cwd = tempFolder(), env = {} } = options;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [cli, ...args],
      { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 26 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
