import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tempFolder } from '../../support/folder.ts';

const MODULE = JSON.stringify(new URL('../../../src/runtime/worker-thread.ts', import.meta.url).href);

test('a process ends when a warmed-up thread that nobody uses has loaded its modules, and not before', () => {
  const folder = tempFolder();
  const thread = `import { writeSync } from 'node:fs';
    import { setTimeout } from 'node:timers/promises';
    import { parentPort } from 'node:worker_threads';
    import { finishWarmUp } from ${MODULE};
    await setTimeout(300);
    writeSync(1, 'loaded');
    finishWarmUp();
    parentPort.on('message', () => {});`;
  writeFileSync(join(folder, 'slow.ts'), thread);
  const file = join(folder, 'main.ts');
  writeFileSync(file, `import { warmUp } from ${MODULE}; warmUp(import.meta.url, './slow');`);
  const output = execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 8000 });
  assert.equal(output, 'loaded');
});
