/**
 * Loaded into a daemon by `--import`, this breaks its inference as the file named by FAULTY_INFERENCE says: `hang`
 * (inside of the system, where nothing can end the thread), `throw` or `die`, once; `hang always` for ever.
 */
import { openSync, readFileSync, rmSync } from 'node:fs';
import { threadName } from 'node:worker_threads';
import type { Binding } from 'onnxruntime-node/dist/binding.js';

const file = process.env.FAULTY_INFERENCE ?? '';

function fault(): string {
  try {
    const text = readFileSync(file, 'utf8');
    if (!text.includes('always')) rmSync(file);
    return text;
  } catch {
    return '';
  }
}

if (threadName === 'inference') {
  const { binding } = await import('onnxruntime-node/dist/binding.js');
  binding.InferenceSession = class extends binding.InferenceSession {
    override run(...args: Parameters<Binding.InferenceSession['run']>) {
      const what = fault();
      if (what.startsWith('throw')) throw new Error('injected');
      if (what.startsWith('die')) process.exit(1);
      // Nobody ever opens the other end.
      if (what.startsWith('hang')) openSync(`${file}.fifo`, 'r');
      return super.run(...args);
    }
  };
}
