import { LookoutError } from '../errors.ts';

/**
 * Lets a process work that was started in a folder that has been deleted since: threads and libraries want a current
 * folder, so it moves to `/`, and whatever asks for the current folder, as each relative path does, gets an error.
 */
export function leaveDeletedFolder(): void {
  try {
    process.cwd();
  } catch (cause) {
    process.chdir('/');
    process.cwd = () => {
      throw new LookoutError(
        'USAGE',
        'the current folder no longer exists or cannot be read, so relative paths lead nowhere',
        { cause, hint: 'Change to another folder (cd), or use absolute paths.' },
      );
    };
  }
}
