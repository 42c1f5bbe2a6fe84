/** What the checks of `lookout doctor` have in common. */
import type { LoadedConfig } from '../config/load-config.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { redact } from '../runtime/secrets.ts';
import type { Resolved } from '../setup/resolved.ts';

export type Verdict = 'ok' | 'warn' | 'fail';

/** One line of the report. */
export interface Finding {
  /** What was checked, for example `broker`. */
  check: string;
  verdict: Verdict;
  found: string;
  /** What to do about it; null if the verdict is `ok`. */
  advice: string | null;
}

export interface CheckContext {
  loaded: LoadedConfig;
  /** Null if the models could not be resolved. */
  resolved: Resolved | null;
  /** Whether a daemon is running on the same database. */
  running: boolean;
  env: NodeJS.ProcessEnv;
  /** Folder that stands for `/`. */
  root: string;
}

export type Check = (context: CheckContext) => Promise<Finding[]>;

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

/** A failure from a thrown value; the hint of a `LookoutError` replaces the advice. */
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
