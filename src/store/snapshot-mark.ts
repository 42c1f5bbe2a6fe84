/**
 * The mark in a snapshot: a comment of JPEG that says which installation wrote the file, and for which event. It goes
 * with the file wherever that is copied, outlives the database, and no other program's file has it.
 */

export interface Mark {
  /** The installation's id, 32 hex digits. */
  installation: string;
  /** Id of the event, or `latest`. */
  event: string;
}

const TEXT = /^Lookout snapshot, installation ([0-9a-f]{32}), event (\S+)$/;

/** Bytes at the start of a file in which its mark is found. */
export const HEAD_BYTES = 512;

const START = 0xffd8;
const COMMENT = 0xfffe;
const APPLICATION = 0xffe0;

/** A JPEG file with a mark, in pieces: the picture itself is not copied. */
export function withMark(jpeg: Uint8Array, { installation, event }: Mark): Uint8Array[] {
  const text = Buffer.from(`Lookout snapshot, installation ${installation}, event ${event}`);
  const comment = Buffer.alloc(4 + text.length);
  comment.writeUInt16BE(COMMENT, 0);
  comment.writeUInt16BE(2 + text.length, 2);
  comment.set(text, 4);
  const view = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  // JFIF's own segment stays the first one, as its specification demands.
  const first = view.length > 6 && view.readUInt16BE(2) === APPLICATION;
  const at = first ? 4 + view.readUInt16BE(4) : 2;
  return [jpeg.subarray(0, at), comment, jpeg.subarray(at)];
}

/** The mark of a file, from its first bytes; null if it has none. */
export function readMark(head: Buffer): Mark | null {
  if (head.length < 4 || head.readUInt16BE(0) !== START) return null;
  for (let at = 2; at + 4 <= head.length; at += 2 + head.readUInt16BE(at + 2)) {
    const marker = head.readUInt16BE(at);
    if (marker !== COMMENT && (marker < APPLICATION || marker > 0xffef)) return null;
    if (marker !== COMMENT) continue;
    const text = head.subarray(at + 4, at + 2 + head.readUInt16BE(at + 2)).toString('latin1');
    const [, installation, event] = TEXT.exec(text) ?? [];
    if (installation !== undefined && event !== undefined) return { installation, event };
  }
  return null;
}
