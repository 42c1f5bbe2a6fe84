/** The child process of one profiling job, so that a crash does not end anything else. */
import { LookoutError, messageOf } from '../errors.ts';
import type { FromChild, ToChild } from './profile-process.ts';
import type { JobKind, Jobs, SustainSample } from './profile-types.ts';

type Work = { [Kind in JobKind]: (ask: Jobs[Kind]['ask']) => Promise<Jobs[Kind]['answer']> };

const stop = new AbortController();

const work: Work = {
  measure: async (ask) => (await import('./measure.ts')).measure(ask, stop.signal),
  sustain: async (ask) => (await import('./sustain.ts')).sustain(ask, stop.signal, sendSample),
  build: async ({ member, file }) => (await import('./family.ts')).buildMember(member, file),
  providers: async ({ model }) => (await import('./providers.ts')).workingProviders(model),
  agreement: async ({ model, snapshots }) =>
    (await import('./agreement.ts')).measureAgreement(model, snapshots),
  facts: async ({ model, exact, folder }) =>
    (await import('./report-facts.ts')).measureFacts(model, exact, folder),
};

function sendSample(sample: SustainSample): void {
  send({ type: 'sample', sample });
}

function send(message: FromChild): void {
  process.send?.(message);
}

async function run({ kind, ask }: Extract<ToChild, { type: 'job' }>): Promise<void> {
  try {
    const job = work[kind] as (ask: unknown) => Promise<unknown>;
    send({ type: 'done', answer: await job(ask) });
  } catch (error) {
    const code = error instanceof LookoutError ? error.code : 'INTERNAL';
    send({ type: 'failed', code, message: messageOf(error) });
  }
  process.disconnect();
}

// A terminal sends Ctrl-C to all its processes; the parent process decides what it means.
process.on('SIGINT', () => {});
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') stop.abort();
  else void run(message);
});
process.on('disconnect', () => stop.abort());
