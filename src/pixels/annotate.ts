/**
 * Draws an event into its snapshot: a box around the object, its label and the time. Letters are drawn from the bitmaps
 * below, because headless boards have no fonts.
 */
import type { Box } from '../types.ts';

/** The event that is drawn into a snapshot. */
export interface Annotation {
  label: string;
  /** 0…1 */
  score: number;
  box: Box;
}

/** Packed RGB, three bytes a pixel, without padding. */
export interface Canvas {
  data: Uint8Array;
  width: number;
  height: number;
}

type Rgb = readonly [number, number, number];

const GLYPH_WIDTH = 5;
const GLYPH_HEIGHT = 7;

const OUTLINE: Rgb = [255, 196, 0];
const BACKGROUND: Rgb = [0, 0, 0];
const TEXT: Rgb = [255, 255, 255];

/** @param time text in the lower left corner */
export function annotate(canvas: Canvas, { label, score, box }: Annotation, time: string): void {
  const dot = Math.max(1, Math.round(canvas.height / 240));
  const x = Math.round(box.x * canvas.width);
  const y = Math.round(box.y * canvas.height);
  const width = Math.round(box.w * canvas.width);
  const height = Math.round(box.h * canvas.height);
  outline(canvas, x, y, width, height, dot);
  const above = y - textHeight(dot);
  write(canvas, `${label} ${Math.round(score * 100)}%`, x, above >= 0 ? above : y, dot);
  write(canvas, time, 0, canvas.height - textHeight(dot), dot);
}

/** Height of a line of text with its margins, in pixels. */
function textHeight(dot: number): number {
  return (GLYPH_HEIGHT + 4) * dot;
}

/** Writes a line of text on a background, moved left as far as needed to fit. */
function write(canvas: Canvas, text: string, x: number, y: number, dot: number): void {
  const letters = [...plain(text)];
  const width = (letters.length * (GLYPH_WIDTH + 1) + 3) * dot;
  const left = Math.max(0, Math.min(x, canvas.width - width));
  fill(canvas, left, y, width, textHeight(dot), BACKGROUND);
  for (const [index, letter] of letters.entries()) {
    const start = left + (2 + index * (GLYPH_WIDTH + 1)) * dot;
    for (const [row, dots] of (GLYPHS[letter] ?? GLYPHS['?']!).split(' ').entries()) {
      for (let column = 0; column < GLYPH_WIDTH; column++) {
        if (dots[column] === '#') fill(canvas, start + column * dot, y + (2 + row) * dot, dot, dot, TEXT);
      }
    }
  }
}

/** Capital letters without accents. */
function plain(text: string): string {
  return text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
}

function outline(canvas: Canvas, x: number, y: number, width: number, height: number, line: number): void {
  fill(canvas, x, y, width, line, OUTLINE);
  fill(canvas, x, y + height - line, width, line, OUTLINE);
  fill(canvas, x, y, line, height, OUTLINE);
  fill(canvas, x + width - line, y, line, height, OUTLINE);
}

/** Fills the part of a rectangle inside the canvas. */
function fill(canvas: Canvas, x: number, y: number, width: number, height: number, colour: Rgb): void {
  const left = Math.max(0, x);
  const right = Math.min(canvas.width, x + width);
  const bottom = Math.min(canvas.height, y + height);
  for (let row = Math.max(0, y); row < bottom; row++) {
    for (let at = (row * canvas.width + left) * 3, column = left; column < right; column++, at += 3) {
      canvas.data[at] = colour[0];
      canvas.data[at + 1] = colour[1];
      canvas.data[at + 2] = colour[2];
    }
  }
}

/** Seven rows of five dots, from the top. */
const GLYPHS: Record<string, string> = {
  ' ': '..... ..... ..... ..... ..... ..... .....',
  '%': '##..# ##..# ...#. ..#.. .#... #..## #..##',
  '&': '.##.. #..#. #.#.. .#... #.#.# #..#. .##.#',
  "'": '..#.. ..#.. ..... ..... ..... ..... .....',
  '(': '...#. ..#.. .#... .#... .#... ..#.. ...#.',
  ')': '.#... ..#.. ...#. ...#. ...#. ..#.. .#...',
  '+': '..... ..#.. ..#.. ##### ..#.. ..#.. .....',
  ',': '..... ..... ..... ..... .##.. ..#.. .#...',
  '-': '..... ..... ..... ##### ..... ..... .....',
  '.': '..... ..... ..... ..... ..... .##.. .##..',
  '/': '....# ....# ...#. ..#.. .#... #.... #....',
  ':': '..... .##.. .##.. ..... .##.. .##.. .....',
  '?': '.###. #...# ....# ...#. ..#.. ..... ..#..',
  _: '..... ..... ..... ..... ..... ..... #####',
  0: '.###. #...# #..## #.#.# ##..# #...# .###.',
  1: '..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.',
  2: '.###. #...# ....# ..##. .#... #.... #####',
  3: '.###. #...# ....# ..##. ....# #...# .###.',
  4: '...#. ..##. .#.#. #..#. ##### ...#. ...#.',
  5: '##### #.... ####. ....# ....# #...# .###.',
  6: '..##. .#... #.... ####. #...# #...# .###.',
  7: '##### ....# ...#. ..#.. .#... .#... .#...',
  8: '.###. #...# #...# .###. #...# #...# .###.',
  9: '.###. #...# #...# .#### ....# ...#. .##..',
  A: '.###. #...# #...# ##### #...# #...# #...#',
  B: '####. #...# #...# ####. #...# #...# ####.',
  C: '.###. #...# #.... #.... #.... #...# .###.',
  D: '####. #...# #...# #...# #...# #...# ####.',
  E: '##### #.... #.... ####. #.... #.... #####',
  F: '##### #.... #.... ####. #.... #.... #....',
  G: '.###. #...# #.... #.### #...# #...# .###.',
  H: '#...# #...# #...# ##### #...# #...# #...#',
  I: '.###. ..#.. ..#.. ..#.. ..#.. ..#.. .###.',
  J: '..### ...#. ...#. ...#. ...#. #..#. .##..',
  K: '#...# #..#. #.#.. ##... #.#.. #..#. #...#',
  L: '#.... #.... #.... #.... #.... #.... #####',
  M: '#...# ##.## #.#.# #.#.# #...# #...# #...#',
  N: '#...# ##..# #.#.# #..## #...# #...# #...#',
  O: '.###. #...# #...# #...# #...# #...# .###.',
  P: '####. #...# #...# ####. #.... #.... #....',
  Q: '.###. #...# #...# #...# #.#.# #..#. .##.#',
  R: '####. #...# #...# ####. #.#.. #..#. #...#',
  S: '.#### #.... #.... .###. ....# ....# ####.',
  T: '##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..',
  U: '#...# #...# #...# #...# #...# #...# .###.',
  V: '#...# #...# #...# #...# #...# .#.#. ..#..',
  W: '#...# #...# #...# #.#.# #.#.# ##.## #...#',
  X: '#...# #...# .#.#. ..#.. .#.#. #...# #...#',
  Y: '#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..',
  Z: '##### ....# ...#. ..#.. .#... #.... #####',
};
