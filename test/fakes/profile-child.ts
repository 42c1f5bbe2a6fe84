/** A child of the profiler that does as its job's folder says, in place of the real one. */
import type { ToChild } from '../../src/profile/profile-process.ts';

process.on('SIGINT', () => {});
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') {
    process.send!({ type: 'failed', code: 'INTERNAL', message: 'asked to stop' });
    process.disconnect();
    return;
  }
  const { folder } = message.ask as { folder: string };
  switch (folder) {
    case 'answer':
      process.send!({ type: 'done', answer: { multiplyAdds: 1, operators: [] } });
      process.disconnect();
      break;
    case 'refuse':
      process.send!({ type: 'failed', code: 'MODEL_CORRUPT', message: 'no model' });
      process.disconnect();
      break;
    case 'crash':
      process.stderr.write('free(): invalid pointer\n', () => process.kill(process.pid, 'SIGSEGV'));
      break;
    case 'exit':
      process.exitCode = 3;
      process.disconnect();
      break;
    case 'hang':
      break;
  }
});
