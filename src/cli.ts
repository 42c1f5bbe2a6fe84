#!/usr/bin/env node
/** Handles signals from the first moment on, before the commands load, which takes a while. */
import { leaveDeletedFolder } from './runtime/current-folder.ts';
import { endOnSignals } from './runtime/signals.ts';

endOnSignals();
leaveDeletedFolder();
if (process.argv[2] === 'run') (await import('./setup/config-resolver.ts')).warmUpResolver();
await import('./commands/program.ts');
