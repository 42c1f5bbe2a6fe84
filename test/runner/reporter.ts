/** Reporter of node:test inside each test process: one JSON line for each result, on file descriptor 3. */
import { writeSync } from 'node:fs';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** The result of one test. */
export interface TestResult {
  name: string;
  /** `suite`: a `describe` block; its tests report themselves unless it is skipped. */
  type: 'test' | 'suite';
  passed: boolean;
  ms: number;
  /** Why it was skipped. */
  skipped?: string;
  error?: string;
}

/** A result, or a diagnostic message of a test. */
export type Report = TestResult | { message: string };

// biome-ignore lint/correctness/useYield: what it yields would go to a destination that takes files only
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<never> {
  for await (const event of events) {
    const told = translate(event);
    if (told) writeSync(3, `${JSON.stringify(told)}\n`);
  }
}

function translate({ type, data }: TestEvent): Report | null {
  // What node:test says of a whole file is counted by the runner.
  if (type === 'test:diagnostic' && data.nesting + Number(data.line !== 1) > 0)
    return { message: data.message };
  if (type !== 'test:pass' && type !== 'test:fail') return null;
  const { name, skip, todo, details } = data;
  const result: TestResult = {
    name,
    type: details.type === 'suite' ? 'suite' : 'test',
    passed: type === 'test:pass' || todo !== undefined,
    ms: details.duration_ms,
  };
  if (skip !== undefined) result.skipped = typeof skip === 'string' ? skip : 'without a reason';
  if (type === 'test:fail') {
    const { cause } = data.details.error;
    result.error = typeof cause === 'string' ? cause : inspect(cause ?? data.details.error);
  }
  return result;
}
