/** Loaded into a daemon by `--import`, this shows it the files below the folder BOARD_FILES in place of the kernel's. */
import { existsSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const root = process.env.BOARD_FILES ?? '';
const { readFile } = promises;

promises.readFile = ((path: string, ...rest: []) =>
  readFile(
    typeof path === 'string' && /^\/(proc|sys)\//.test(path) && existsSync(root + path) ? root + path : path,
    ...rest,
  )) as typeof readFile;
syncBuiltinESMExports();
