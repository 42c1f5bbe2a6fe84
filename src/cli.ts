#!/usr/bin/env node
/** Ends on signals from the first moment on, then loads the commands: that takes longer than some wait. */
import { endOnSignals } from './platform/signals.ts';

endOnSignals();
await import('./program.ts');
