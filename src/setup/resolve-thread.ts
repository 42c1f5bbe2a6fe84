/** The thread of ConfigResolver. */
import { parentPort } from 'node:worker_threads';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../config/load-config.ts';
import type { LabelTable } from '../decide/label-classes.ts';
import { exactFolder, keepExact } from '../model/exact/exact-files.ts';
import { exposeRpc } from '../runtime/rpc.ts';
import { finishWarmUp } from '../runtime/worker-thread.ts';
import { resolveModels } from './resolve.ts';
import type { ResolvedModel } from './resolved.ts';

/** A model as data that can be sent between threads. */
export interface SentModel extends Omit<ResolvedModel, 'compiled'> {
  table: LabelTable;
}

export interface ResolveApi {
  load(options: LoadOptions): LoadedConfig;
  resolveModels(
    loaded: Pick<LoadedConfig, 'config' | 'baseDir'>,
  ): Promise<[name: string, model: SentModel][]>;
  close(): void;
}

if (parentPort) {
  finishWarmUp();
  const port = parentPort;
  exposeRpc<ResolveApi>(port, {
    load: (options) => loadConfig(options),
    resolveModels: async (loaded) => {
      const models = await resolveModels(loaded);
      const exactFiles = await keepExact([...models.values()], exactFolder(loaded.config.data_dir));
      return [...models].map(([name, { compiled, ...model }], index) => {
        const { classes, warnings } = compiled;
        return [name, { ...model, exactFile: exactFiles[index]!, table: { classes, warnings } }];
      });
    },
    close: () => port.close(),
  });
}
