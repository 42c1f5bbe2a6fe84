/** Writes settings into a configuration file and leaves everything else in it, comments too, as it was. */
import { stat } from 'node:fs/promises';
import { isMap, parseDocument } from 'yaml';
import { loadConfig } from '../config/load-config.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { createDraft, type Draft } from '../runtime/own-files.ts';
import { readText } from '../runtime/text-file.ts';

export interface Setting {
  path: readonly string[];
  value: string | number | boolean;
}

/**
 * Changes settings in the text of a configuration.
 * @throws Error where the groups of a setting are something else
 */
export function changeText(text: string, settings: readonly Setting[]): string {
  const document = parseDocument(text);
  for (const { path, value } of settings) {
    for (let depth = 1; depth < path.length; depth++) {
      const group = path.slice(0, depth);
      const found = document.getIn(group, true);
      if (found === undefined || document.getIn(group) === null)
        document.setIn(group, document.createNode({}));
      else if (!isMap(found)) throw new Error(`${group.join('.')} is not written as a group of settings`);
    }
    document.setIn(path, value);
  }
  return document.toString({ lineWidth: 0 });
}

/**
 * Changes settings in a configuration file: the new text is checked as a whole before it takes the old one's place.
 * @throws LookoutError CONFIG_UNWRITABLE, CONFIG_INVALID; the file is as it was then
 */
export async function changeConfig(file: string, settings: readonly Setting[]): Promise<void> {
  // Beside its place, because that is where relative paths start.
  let draft: Draft | undefined;
  try {
    const text = changeText(await readText(file), settings);
    const { mode, uid, gid } = await stat(file);
    draft = await createDraft(file, mode);
    await draft.handle.writeFile(text);
    await draft.handle.chmod(mode);
    // Only root may give files away; for others they are their own already.
    await draft.handle.chown(uid, gid).catch(() => {});
    await draft.handle.sync();
    loadConfig({ file: draft.path });
    await draft.moveTo(file);
  } catch (cause) {
    await draft?.discard().catch(() => {});
    if (cause instanceof LookoutError) throw cause;
    throw new LookoutError('CONFIG_UNWRITABLE', `${file} cannot be changed: ${messageOf(cause)}`, {
      cause,
      hint: 'Write the settings above into it by hand.',
    });
  }
}
