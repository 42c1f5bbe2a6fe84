import type { SourceConfig } from '../config/sources.ts';
import { createSource } from './create.ts';
import { VIDEO_PROGRAMS } from './libcamera.ts';
import { requireProgram } from './programs.ts';
import type { SourceContext } from './source.ts';
import { STILL_PROGRAMS } from './still-camera.ts';

/**
 * Checks that the programs of a camera, or the files of a replay, exist. Does not check devices, which may come and go.
 * @returns a description of what was found; empty for a camera that needs nothing
 * @throws LookoutError CAPTURE_PROGRAM_MISSING, which names the package to install, or CAPTURE_FILE
 */
export async function requireNeeds(source: SourceConfig, context: SourceContext): Promise<string> {
  const { env } = context;
  switch (source.kind) {
    case 'libcamera':
      return requireProgram(source.mode === 'still' ? STILL_PROGRAMS : VIDEO_PROGRAMS, env);
    case 'gstreamer':
      return requireProgram(['gst-launch-1.0'], env);
    case 'v4l2':
    case 'rtsp':
    case 'http':
      return requireProgram(['ffmpeg'], env);
    case 'replay':
      return (await createSource(source, context)).description;
    case 'demo':
    case 'auto':
      return '';
  }
}
