#!/usr/bin/env node
/** Ends on signals from the first moment on, then loads the commands: that takes longer than some wait. */
import { leaveDeletedFolder } from './platform/current-folder.ts';
import { endOnSignals } from './platform/signals.ts';

endOnSignals();
leaveDeletedFolder();
if (process.argv[2] === 'run') (await import('./preparer.ts')).warmUpPreparer();
await import('./program.ts');
