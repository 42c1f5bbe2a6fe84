import type { FrameSink, Source } from '../../src/capture/source.ts';

/** A source that does what the test tells it to, run by run. */
export class FakeSource implements Source {
  readonly description = 'a fake';
  readonly runs: FakeRun[] = [];

  run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    const run = new FakeRun(sink, signal);
    this.runs.push(run);
    return run.ended;
  }

  /** The run that is going on. */
  get now(): FakeRun {
    const run = this.runs.at(-1);
    if (!run) throw new Error('the source was not started');
    return run;
  }
}

export class FakeRun {
  readonly sink: FrameSink;
  readonly signal: AbortSignal;
  readonly ended: Promise<void>;
  end: () => void = () => {};
  fail: (error: Error) => void = () => {};

  constructor(sink: FrameSink, signal: AbortSignal) {
    this.sink = sink;
    this.signal = signal;
    this.ended = new Promise((resolve, reject) => {
      this.end = resolve;
      this.fail = reject;
      signal.addEventListener('abort', () => resolve());
    });
  }

  frame(): ArrayBuffer {
    const data = this.sink.acquire(6);
    this.sink.frame({ format: { width: 2, height: 2, pixels: 'i420', colour: 'bt601' }, data });
    return data;
  }
}
