/** The thread behind Preparer. */
import { parentPort } from 'node:worker_threads';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../config/load-config.ts';
import type { LabelTable } from '../decide/label-classes.ts';
import { exactFolder, keepExact } from '../model/exact/exact-files.ts';
import { serve } from '../runtime/rpc.ts';
import { prepare } from './resolve.ts';
import type { PreparedModel } from './resolved.ts';

/** A model as nothing but data. */
export interface SentModel extends Omit<PreparedModel, 'compiled'> {
  table: LabelTable;
}

export interface PrepareApi {
  load(options: LoadOptions): LoadedConfig;
  prepare(loaded: Pick<LoadedConfig, 'config' | 'baseDir'>): Promise<[name: string, model: SentModel][]>;
  close(): void;
}

if (parentPort) {
  const port = parentPort;
  serve<PrepareApi>(port, {
    load: (options) => loadConfig(options),
    prepare: async (loaded) => {
      const { models } = await prepare(loaded);
      const exactFiles = await keepExact([...models.values()], exactFolder(loaded.config.data_dir));
      return [...models].map(([name, { compiled, ...model }], index) => {
        const { classes, warnings } = compiled;
        return [name, { ...model, exactFile: exactFiles[index]!, table: { classes, warnings } }];
      });
    },
    close: () => port.close(),
  });
}
