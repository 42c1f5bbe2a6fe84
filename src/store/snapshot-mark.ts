/**
 * The mark in a snapshot: a JPEG comment that names the installation that wrote the file, and the event. It stays with
 * copies of the file, outlives the database, and no other program writes it.
 */

export interface Mark {
  /** The installation's id, 32 hex digits. */
  installation: string;
  /** Id of the event, or `latest`. */
  event: string;
}

const TEXT = /^Lookout snapshot, installation ([0-9a-f]{32}), event (\S+)$/;

/** Bytes at the start of a file that contain its mark. */
export const HEAD_BYTES = 512;

const START = 0xffd8;
const COMMENT = 0xfffe;
const APPLICATION = 0xffe0;

/** A JPEG file with a mark, in pieces, so that the image itself is not copied. */
export function withMark(jpeg: Uint8Array, { installation, event }: Mark): Uint8Array[] {
  const text = Buffer.from(`Lookout snapshot, installation ${installation}, event ${event}`);
  const comment = Buffer.alloc(4 + text.length);
  comment.writeUInt16BE(COMMENT, 0);
  comment.writeUInt16BE(2 + text.length, 2);
  comment.set(text, 4);
  const view = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  // The JFIF segment must stay first.
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
