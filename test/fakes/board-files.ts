/** Loaded into a daemon by `--import`, this shows it the files below the folder BOARD_FILES in place of the kernel's. */
import { existsSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const root = process.env.BOARD_FILES ?? '';
const { readFile, readdir } = promises;

function shown(path: string): string {
  return typeof path === 'string' && /^\/(proc|sys)\//.test(path) && existsSync(root + path)
    ? root + path
    : path;
}

promises.readFile = ((path: string, ...rest: []) => readFile(shown(path), ...rest)) as typeof readFile;
promises.readdir = ((path: string, ...rest: []) => readdir(shown(path), ...rest)) as typeof readdir;
syncBuiltinESMExports();
