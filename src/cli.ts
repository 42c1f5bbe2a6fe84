#!/usr/bin/env node
/** Ends on signals from the first moment on, then loads the commands: that takes longer than some wait. */
import { leaveDeletedFolder } from './runtime/current-folder.ts';
import { endOnSignals } from './runtime/signals.ts';

endOnSignals();
leaveDeletedFolder();
if (process.argv[2] === 'run') (await import('./setup/config-resolver.ts')).warmUpResolver();
await import('./commands/program.ts');
