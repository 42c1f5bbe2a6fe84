/**
 * Ends all processes of a test run and deletes its folder when the runner ends, also by SIGKILL: the runner holds the
 * other end of the standard input. Arguments: the mark of the run, its folder.
 */
import { rmSync } from 'node:fs';
import { killAll } from './processes.ts';

const [mark, folder] = process.argv.slice(2);
if (mark === undefined || folder === undefined) throw new Error('usage: guard.ts MARK FOLDER');
process.stdin.resume().once('end', () => {
  killAll(mark);
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});
