/** Writes settings into a configuration file and leaves everything else, including comments, unchanged. */
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
 * @throws Error if the group of a setting is not a mapping
 */
export function changeText(text: string, settings: readonly Setting[]): string {
  const document = parseDocument(text);
  for (const { path, value } of settings) {
    for (let depth = 1; depth < path.length; depth++) {
      const group = path.slice(0, depth);
      const found = document.getIn(group, true);
      if (found === undefined || document.getIn(group) === null)
        document.setIn(group, document.createNode({}));
      else if (!isMap(found)) throw new Error(`${group.join('.')} is not a group of settings`);
    }
    document.setIn(path, value);
  }
  return document.toString({ lineWidth: 0 });
}

/**
 * Changes settings in a configuration file. The new text is validated before it replaces the old one.
 * @throws LookoutError CONFIG_UNWRITABLE, CONFIG_INVALID; the file is unchanged then
 */
export async function changeConfig(file: string, settings: readonly Setting[]): Promise<void> {
  // The draft is in the same folder, because relative paths start there.
  let draft: Draft | undefined;
  try {
    const text = changeText(await readText(file), settings);
    const { mode, uid, gid } = await stat(file);
    draft = await createDraft(file, mode);
    await draft.handle.writeFile(text);
    await draft.handle.chmod(mode);
    // Only root can change the owner; for other users the file is already theirs.
    await draft.handle.chown(uid, gid).catch(() => {});
    await draft.handle.sync();
    loadConfig({ file: draft.path });
    await draft.moveTo(file);
  } catch (cause) {
    await draft?.discard().catch(() => {});
    if (cause instanceof LookoutError) throw cause;
    throw new LookoutError('CONFIG_UNWRITABLE', `cannot change ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'Add the settings above to the file yourself.',
    });
  }
}
