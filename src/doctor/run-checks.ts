/** Runs all checks, one after the other, and never throws. */
import { existsSync } from 'node:fs';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../config/load-config.ts';
import { LookoutError } from '../errors.ts';
import { resolveConfig } from '../setup/resolve.ts';
import { lockForWriting, realFile } from '../store/lock.ts';
import { type Check, type CheckContext, type Finding, failed, ok, warn } from './check.ts';
import { checkBoard, inspectBoard } from './check-board.ts';
import { checkBroker } from './check-broker.ts';
import { checkCameras } from './check-cameras.ts';
import { checkDatabase } from './check-database.ts';
import { checkDisk } from './check-disk.ts';
import { checkFiles } from './check-files.ts';
import { checkModels } from './check-models.ts';
import { checkSnapshots } from './check-snapshots.ts';
import { checkTime } from './check-time.ts';
import { checkUser } from './check-user.ts';

const CHECKS: readonly [string, Check][] = [
  ['user', checkUser],
  ['permissions', checkFiles],
  ['camera', checkCameras],
  ['model', checkModels],
  ['broker', checkBroker],
  ['disk', checkDisk],
  ['database', checkDatabase],
  ['snapshots', checkSnapshots],
  ['time', checkTime],
  ['board', checkBoard],
];

export interface DoctorReport {
  findings: Finding[];
  /** Null if the configuration is not valid. */
  loaded: LoadedConfig | null;
}

export interface DoctorOptions extends LoadOptions {
  /** Folder that stands for `/`. */
  root?: string;
  checks?: readonly [string, Check][];
}

export async function runChecks({
  file,
  env = process.env,
  root = '/',
  checks = CHECKS,
}: DoctorOptions): Promise<DoctorReport> {
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig({ file, env });
  } catch (error) {
    const findings = [failed('configuration', error), ...(await inspectBoard({ root }))];
    return { findings, loaded: null };
  }
  const findings: Finding[] = [
    ok('configuration', loaded.file ?? 'embedded defaults (no configuration file)'),
    ...loaded.warnings.map((warning) => warn('configuration', warning, 'Correct the name, or remove it.')),
  ];
  const context: CheckContext = {
    loaded,
    env,
    root,
    resolved: await resolveConfig(loaded).catch(() => null),
    running: await isRunning(realFile(loaded.config.store.file)),
  };
  // One after the other, so that loading a model does not disturb the measurement of the disk.
  for (const [name, check] of checks) {
    try {
      findings.push(...(await check(context)));
    } catch (error) {
      findings.push(failed(name, error));
    }
  }
  return { findings, loaded };
}

/** Whether a daemon holds the lock of the database. Creates no files. */
async function isRunning(file: string): Promise<boolean> {
  if (!existsSync(`${file}.lock`)) return false;
  try {
    (await lockForWriting(file))();
    return false;
  } catch (error) {
    return error instanceof LookoutError && error.code === 'STORE_LOCKED';
  }
}
