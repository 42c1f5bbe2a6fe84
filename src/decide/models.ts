import { DEFAULT_MODEL } from '../config/names.ts';
import type { CameraConfig } from '../config/schema.ts';

/** Name of the model that looks at a camera, or at one of its zones. */
export function modelOf(camera: Pick<CameraConfig, 'model' | 'zones'>, zone: string | null): string {
  return (zone === null ? undefined : camera.zones[zone]?.model) ?? camera.model ?? DEFAULT_MODEL;
}
