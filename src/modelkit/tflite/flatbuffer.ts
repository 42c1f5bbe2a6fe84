/**
 * Reads FlatBuffers (https://flatbuffers.dev/internals/) from untrusted bytes: every offset is checked against the file,
 * and every list against the rest of it, so that nothing larger than the file is ever allocated.
 */

/** A table: fields by number, absent ones with a default. */
export class Table {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #position: number;
  readonly #fields: number;
  readonly #fieldsEnd: number;

  /** @throws RangeError if the table is not inside the bytes */
  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = position;
    this.#fields = position - this.#view.getInt32(position, true);
    this.#fieldsEnd = this.#fields + this.#view.getUint16(this.#fields, true);
  }

  /** The table that a file begins with. @throws RangeError */
  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(bytes, view.getUint32(0, true));
  }

  has(field: number): boolean {
    return this.#find(field) !== null;
  }

  int8(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : this.#view.getInt8(at);
  }

  uint8(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : this.#view.getUint8(at);
  }

  int32(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : this.#view.getInt32(at, true);
  }

  uint32(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : this.#view.getUint32(at, true);
  }

  /** A 64-bit integer as a number. */
  uint64(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : Number(this.#view.getBigUint64(at, true));
  }

  float32(field: number, absent = 0): number {
    const at = this.#find(field);
    return at === null ? absent : this.#view.getFloat32(at, true);
  }

  /** A table inside this one, or null. */
  table(field: number): Table | null {
    const at = this.#find(field);
    return at === null ? null : new Table(this.#bytes, this.#follow(at));
  }

  text(field: number): string | null {
    const bytes = this.bytes(field);
    return bytes && new TextDecoder().decode(bytes);
  }

  /** A view of a list of bytes, or null. */
  bytes(field: number): Uint8Array | null {
    const list = this.#list(field, 1);
    return list && this.#bytes.subarray(list.start, list.start + list.length);
  }

  int32s(field: number): number[] {
    return this.#items(field, 4, (at) => this.#view.getInt32(at, true));
  }

  float32s(field: number): number[] {
    return this.#items(field, 4, (at) => this.#view.getFloat32(at, true));
  }

  /** 64-bit integers as numbers. */
  int64s(field: number): number[] {
    return this.#items(field, 8, (at) => Number(this.#view.getBigInt64(at, true)));
  }

  tables(field: number): Table[] {
    return this.#items(field, 4, (at) => new Table(this.#bytes, this.#follow(at)));
  }

  #items<T>(field: number, size: number, read: (at: number) => T): T[] {
    const list = this.#list(field, size);
    if (!list) return [];
    return Array.from({ length: list.length }, (_, index) => read(list.start + index * size));
  }

  #list(field: number, size: number): { start: number; length: number } | null {
    const at = this.#find(field);
    if (at === null) return null;
    const position = this.#follow(at);
    const length = this.#view.getUint32(position, true);
    const start = position + 4;
    if (length > (this.#bytes.length - start) / size) {
      throw new RangeError(`a list of ${length} items does not fit into the file`);
    }
    return { start, length };
  }

  /** The target of the offset at `at`. Offsets point forward. */
  #follow(at: number): number {
    return at + this.#view.getUint32(at, true);
  }

  #find(field: number): number | null {
    const entry = this.#fields + 4 + 2 * field;
    if (entry + 2 > this.#fieldsEnd) return null;
    const offset = this.#view.getUint16(entry, true);
    return offset === 0 ? null : this.#position + offset;
  }
}
