/** What the checks of `lookout doctor` have in common. */
import type { LoadedConfig } from '../config/load-config.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { redact } from '../runtime/secrets.ts';
import type { Resolved } from '../setup/resolved.ts';

export type Verdict = 'ok' | 'warn' | 'fail';

/** One line of the report. */
export interface Finding {
  /** What was looked at, such as `broker`. */
  check: string;
  verdict: Verdict;
  /** What was found. */
  found: string;
  /** What to do about it; null when all is well. */
  advice: string | null;
}

/** What a check may look at. */
export interface CheckContext {
  loaded: LoadedConfig;
  /** Null when the models could not be read. */
  prepared: Resolved | null;
  /** A daemon runs on the same database. */
  running: boolean;
  env: NodeJS.ProcessEnv;
  /** Folder that stands for `/`. */
  root: string;
}

export type Check = (patient: CheckContext) => Promise<Finding[]>;

export const ok = (check: string, found: string): Finding => ({
  check,
  verdict: 'ok',
  found: redact(found),
  advice: null,
});

export const warn = (check: string, found: string, advice: string): Finding => ({
  check,
  verdict: 'warn',
  found: redact(found),
  advice,
});

export const fail = (check: string, found: string, advice: string): Finding => ({
  check,
  verdict: 'fail',
  found: redact(found),
  advice,
});

/** A failure out of what was thrown, with the advice that it brings. */
export function failed(check: string, error: unknown, advice = 'See docs/errors.md.'): Finding {
  if (!(error instanceof LookoutError)) return fail(check, messageOf(error), advice);
  return fail(check, `${error.message} (${error.code})`, error.hint ?? advice);
}

/** The worst verdict among findings. */
export function worst(findings: readonly Finding[]): Verdict {
  for (const verdict of ['fail', 'warn'] as const) {
    if (findings.some((finding) => finding.verdict === verdict)) return verdict;
  }
  return 'ok';
}
