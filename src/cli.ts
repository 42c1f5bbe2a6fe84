#!/usr/bin/env node
/** Ends on signals from the first moment on, then loads the commands: that takes longer than some wait. */
import { leaveDeletedFolder } from './platform/current-folder.ts';
import { endOnSignals } from './platform/signals.ts';

endOnSignals();
leaveDeletedFolder();
await import('./program.ts');
