/**
 * A small WebAssembly assembler with only the instructions that the pixel kernels need, written as expressions.
 * `i32.add(x.get, i32.const(4))` is the code that leaves x + 4 on the stack; statements are lists of code.
 *
 * Opcodes: https://webassembly.github.io/spec/core/appendix/index-instructions.html
 */
export type Code = readonly number[];

type Operator = (...operands: Code[]) => Code;

function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = rest === 0 ? byte < 0x40 : rest === -1 && byte >= 0x40;
    bytes.push(done ? byte : byte | 0x80);
    if (done) return bytes;
  }
}

const operator =
  (...opcode: number[]): Operator =>
  (...operands) => [...operands.flat(), ...opcode];
const simd = (opcode: number): Operator => operator(0xfd, ...unsigned(opcode));

/** Instructions that take an address, at a constant offset in bytes from it. */
const memory =
  (...opcode: number[]) =>
  (address: Code, offset = 0, ...rest: Code[]): Code => [
    ...address,
    ...rest.flat(),
    ...opcode,
    0,
    ...unsigned(offset),
  ];
const memorySimd = (opcode: number) => memory(0xfd, opcode);

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: operator(0x6a),
  sub: operator(0x6b),
  shiftLeft: operator(0x74),
  less: operator(0x49),
  load: memory(0x28),
  load8: memory(0x2d),
  store: memory(0x36),
  store8: memory(0x3a),
};

export const v128 = {
  load: memorySimd(0x00),
  /** Eight bytes, widened to unsigned 16-bit lanes. */
  load8x8: memorySimd(0x02),
  /** One 16-bit number in all eight lanes. */
  load16Splat: memorySimd(0x08),
  store: memorySimd(0x0b),
  /** Stores the lower eight bytes. */
  storeLow: (address: Code, offset: number, value: Code): Code => [
    ...memorySimd(0x5b)(address, offset, value),
    0,
  ],
  zero: [0xfd, 0x0c, ...new Array<number>(16).fill(0)] as Code,
  /** 32-bit lanes picked from two vectors: 0–3 from the first, 4–7 from the second. */
  pick: (lanes: readonly number[], first: Code, second: Code): Code => [
    ...first,
    ...second,
    0xfd,
    0x0d,
    ...lanes.flatMap((lane) => [lane * 4, lane * 4 + 1, lane * 4 + 2, lane * 4 + 3]),
  ],
  /** 16-bit lanes of two vectors in turn: their lower halves, or their upper ones. */
  zip: (half: 'lower' | 'upper', first: Code, second: Code): Code => [
    ...first,
    ...second,
    0xfd,
    0x0d,
    ...[0, 2, 4, 6].flatMap((at) => {
      const byte = half === 'lower' ? at : at + 8;
      return [byte, byte + 1, byte + 16, byte + 17];
    }),
  ],
};

export const i16x8 = {
  add: simd(0x8e),
  sub: simd(0x91),
  splat: simd(0x10),
  shiftLeft: simd(0x8b),
  shiftRight: simd(0x8c),
  /** (a × b + 2¹⁴) >> 15 in each lane. */
  multiplyQ15: simd(0x82),
  /** Two vectors of 32-bit lanes, saturated to one of 16-bit lanes. */
  narrow: simd(0x85),
  /** Two vectors of 16-bit lanes, saturated to one of unsigned bytes. */
  narrowToBytes: simd(0x66),
};

export const i32x4 = {
  add: simd(0xae),
  splat: simd(0x11),
  shiftRight: simd(0xac),
  /** Products of the 16-bit lanes of two vectors, neighbours added up. */
  dot: simd(0xba),
};

const TYPES = { i32: 0x7f, v128: 0x7b } as const;

/** A parameter or local variable of a kernel. */
export class Variable {
  readonly get: Code;
  readonly #index: readonly number[];

  constructor(index: number) {
    this.#index = unsigned(index);
    this.get = [0x20, ...this.#index];
  }

  set(value: Code): Code {
    return [...value, 0x21, ...this.#index];
  }

  /** Adds a number to a 32-bit variable. */
  advance(by: Code | number): Code {
    return this.set(i32.add(this.get, typeof by === 'number' ? i32.const(by) : by));
  }
}

/** Runs the body once, and again while the condition holds. */
export function repeatWhile(condition: Code, body: Code[]): Code {
  return [0x03, 0x40, ...body.flat(), ...condition, 0x0d, 0x00, 0x0b];
}

/** One exported function: 32-bit integer parameters, no result. */
export class Kernel {
  readonly #parameters: number;
  readonly #locals: (keyof typeof TYPES)[] = [];
  #body: Code = [];

  constructor(parameters: number, build: (kernel: Kernel, ...parameters: Variable[]) => Code[]) {
    this.#parameters = parameters;
    const variables = Array.from({ length: parameters }, (_, index) => new Variable(index));
    this.#body = build(this, ...variables).flat();
  }

  local(type: keyof typeof TYPES): Variable {
    this.#locals.push(type);
    return new Variable(this.#parameters + this.#locals.length - 1);
  }

  get type(): Code {
    return [0x60, ...unsigned(this.#parameters), ...new Array<number>(this.#parameters).fill(TYPES.i32), 0];
  }

  get code(): Code {
    const locals = this.#locals.flatMap((type) => [1, TYPES[type]]);
    const code = [...unsigned(this.#locals.length), ...locals, ...this.#body, 0x0b];
    return [...unsigned(code.length), ...code];
  }
}

/** The bytes of a module that imports its memory as `host.memory` and exports the given kernels. */
export function assemble(kernels: Record<string, Kernel>): Uint8Array<ArrayBuffer> {
  const text = (value: string) => [...unsigned(value.length), ...Buffer.from(value, 'latin1')];
  const section = (id: number, items: Code[]): Code => {
    const content = [...unsigned(items.length), ...items.flat()];
    return [id, ...unsigned(content.length), ...content];
  };
  const functions = Object.entries(kernels);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      functions.map(([, kernel]) => kernel.type),
    ),
    ...section(2, [[...text('host'), ...text('memory'), 0x02, 0x00, 1]]),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(
      7,
      functions.map(([name], index) => [...text(name), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      functions.map(([, kernel]) => kernel.code),
    ),
  ]);
}
