import { loadModel } from '../model/load-model.ts';
import { ModelSession } from '../vision/inference-session.ts';
import type { ModelRef, Provider } from './profile-types.ts';

const PROVIDERS: readonly Provider[] = ['cpu', 'cuda', 'tensorrt'];

/** The execution providers that can run a model on this machine, not just those built into ONNX Runtime. */
export async function workingProviders(model: ModelRef): Promise<Provider[]> {
  const { file, description } = await loadModel(model, '/');
  const working: Provider[] = [];
  for (const provider of PROVIDERS) {
    const providers: Provider[] = provider === 'cpu' ? ['cpu'] : [provider, 'cpu'];
    const session = ModelSession.open(file, description, {
      providers,
      threads: 1,
      spinning: false,
      exact: 'auto',
    });
    if (session.info.provider === provider) working.push(provider);
    session.release();
  }
  return working;
}
