/** What a detector's description says about its boxes: which numbers they are and how they become objects. */
import { z } from 'zod';

const number = z.number();
const positive = z.number().positive();

/**
 * Codings of boxes. `centre` and `corners` are relative to one anchor for each candidate:
 * - `centre`: dy, dx, dh, dw to an anchor of cy, cx, h, w (SSD, arXiv 1512.02325, with TensorFlow's scales)
 * - `corners`: dx1, dy1, dx2, dy2 in sizes of an anchor of x1, y1, x2, y2 (STMicroelectronics' SSDs)
 * - `grid`: dx, dy, log w, log h in strides of the candidate's cell (YOLOX, arXiv 2107.08430); in the same rows follow
 *   the probability of any object and the scores
 */
export const BOX_CODINGS = ['centre', 'corners', 'grid'] as const;

export const boxesFile = z.strictObject({
  /** Name of the output with the boxes, 1×N×4; for `grid` that with everything. */
  output: z.string().min(1),
  coding: z.enum(BOX_CODINGS),
  /** Four numbers for each candidate, in fractions of the input; none for `grid`. */
  anchors: z.array(number).default([]),
  /** The deltas of `centre` are divided by these. */
  scales: z
    .strictObject({ y: positive, x: positive, h: positive, w: positive })
    .default({ y: 1, x: 1, h: 1, w: 1 }),
  /** Of the cells of `grid`, in pixels of the input, in the order of the rows. */
  strides: z.array(z.number().int().positive()).default([]),
  /** Classes in front of the first label that stand for the background. */
  offset: z.number().int().min(0).max(1).default(0),
  /** Objects below this score are left out, 0…1, unless a command says another. */
  score: z.number().min(0).max(1).default(0.3),
  /** Of two boxes that overlap by more than this (intersection over union, 0…1), the one with the lower score goes. */
  overlap: z.number().min(0).max(1).default(0.5),
  /** Whether only boxes of the same class suppress each other (`class`), or a candidate stands for its best class only. */
  suppression: z.enum(['class', 'all']).default('class'),
  /** The most objects of one image. */
  most: z.number().int().min(1).max(1000).default(100),
});

export type BoxDescription = z.infer<typeof boxesFile>;
