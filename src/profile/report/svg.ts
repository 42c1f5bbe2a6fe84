/** Plots as inline SVG: no scripts, no fonts, no network. */
import { type Scale, scaleOf } from './scale.ts';

export interface Series {
  name: string;
  points: readonly Labelled[];
  /** Points are joined by a line, or stand alone. */
  line: boolean;
}

interface Labelled {
  x: number;
  y: number;
  label?: string;
}

export interface Axis {
  name: string;
  /** `zero`: from 0; `near`: from just below the smallest value; `log`: each step is the same factor. */
  scale: 'zero' | 'near' | 'log';
}

export interface Plot {
  title: string;
  x: Axis;
  y: Axis;
  series: readonly Series[];
  /** Whether to draw the Pareto front: the line of points that no other beats in both x and y. */
  front?: boolean;
  /** Intervals of x that are coloured. */
  spans?: readonly { from: number; to: number; name: string }[];
  height?: number;
}

const WIDTH = 1000;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 24, 48, 48];
const COLOURS = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700', '#8250df', '#57606a'];
const SHADES = ['#1f6feb', '#85b6f7', '#cfe2fc'];
const FONT = 12;
/** Approximate width of a letter. */
const LETTER = 6.6;

/** A plot of points and lines over two axes. Points whose label does not fit show it as a tooltip. */
export function plot({ title, x, y, series, front, spans = [], height = 300 }: Plot): string {
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) return '';
  const [scaleX, scaleY] = [
    scaleOf(
      all.map((p) => p.x),
      x.scale,
    ),
    scaleOf(
      all.map((p) => p.y),
      y.scale,
    ),
  ];
  const atX = (value: number) => LEFT + scaleX.at(value) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number) => height - BOTTOM - scaleY.at(value) * (height - TOP - BOTTOM);
  const path = (points: readonly Labelled[]) =>
    points.map((p) => `${round(atX(p.x))},${round(atY(p.y))}`).join(' ');
  const parts = [frame(title, height)];
  for (const { from, to, name } of spans) {
    const [left, right] = [atX(from), atX(to)];
    const size = `x="${round(left)}" y="${TOP}" width="${round(Math.max(1, right - left))}" height="${height - TOP - BOTTOM}"`;
    parts.push(`<rect ${size} fill="#d1242f" fill-opacity="0.12"><title>${escapeHtml(name)}</title></rect>`);
  }
  parts.push(axes(x, y, [scaleX, scaleY], [atX, atY], height));
  if (series.length > 1) parts.push(legend(series.map(({ name }, index) => [name, colour(index)])));
  if (spans.length > 0) parts.push(legend([[spans[0]!.name, '#f6d5d7']]));
  const best = front ? pareto(all) : [];
  if (best.length > 0)
    parts.push(`<polyline fill="none" stroke="#57606a" stroke-dasharray="4 3" points="${path(best)}"/>`);
  for (const [index, { name, points, line }] of series.entries()) {
    if (line) {
      const stroke = `stroke="${colour(index)}" stroke-width="1.5"`;
      parts.push(`<polyline fill="none" ${stroke} points="${path(points)}"/>`);
      continue;
    }
    for (const p of points) {
      const where = `cx="${round(atX(p.x))}" cy="${round(atY(p.y))}"`;
      const tooltip = escapeHtml(`${p.label ?? name}: ${short(p.x)}, ${short(p.y)}`);
      parts.push(`<circle ${where} r="4" fill="${colour(index)}"><title>${tooltip}</title></circle>`);
    }
  }
  const dots = series.flatMap(({ points, line }) => (line ? [] : points));
  parts.push(labels([...best, ...dots.filter((p) => !best.includes(p))], atX, atY));
  return `${parts.join('\n')}\n</svg>`;
}

export interface Bar {
  name: string;
  /** Lengths one after the other, such as percentiles; the largest last. */
  values: readonly number[];
  shown: string;
}

/** Horizontal bars, each in shades up to its last value; `shades` names them. */
export function bars(title: string, rows: readonly Bar[], shades: readonly string[] = []): string {
  if (rows.length === 0) return '';
  const height = TOP + 24 * rows.length + 12;
  const longest = (texts: readonly string[]) => LETTER * Math.max(...texts.map((content) => content.length));
  const left = 12 + longest(rows.map(({ name }) => name));
  const right = 16 + longest(rows.map(({ shown }) => shown));
  const end = Math.max(...rows.flatMap(({ values }) => values), Number.MIN_VALUE);
  const length = (value: number) => round((value / end) * Math.max(100, WIDTH - left - right));
  const parts = [frame(title, height), legend(shades.map((name, shade) => [name, SHADES[shade]!]))];
  for (const [index, { name, values, shown }] of rows.entries()) {
    const y = TOP + 24 * index;
    for (const [shade, value] of [...values.entries()].reverse()) {
      const size = `x="${round(left)}" y="${y + 3}" width="${length(value)}" height="16"`;
      parts.push(`<rect ${size} fill="${SHADES[shade % SHADES.length]}"/>`);
    }
    parts.push(text(left - 6, y + 15, name, 'text-anchor="end"'));
    parts.push(text(left + length(Math.max(...values)) + 6, y + 15, shown));
  }
  return `${parts.join('\n')}\n</svg>`;
}

/** The points that no other beats in both x and y, in the order of x. */
export function pareto<Point extends { x: number; y: number }>(points: readonly Point[]): Point[] {
  const best: Point[] = [];
  for (const point of points.toSorted((a, b) => b.x - a.x || b.y - a.y)) {
    if (point.y > (best.at(-1)?.y ?? Number.NEGATIVE_INFINITY)) best.push(point);
  }
  return best.reverse();
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Labels of points, where they cover neither a point nor another label; earlier points take precedence. */
function labels(
  points: readonly Labelled[],
  atX: (value: number) => number,
  atY: (value: number) => number,
): string {
  const taken: Box[] = points.map((p) => around(atX(p.x), atY(p.y), 4));
  const parts: string[] = [];
  for (const { x, y, label } of points) {
    if (label === undefined) continue;
    const width = LETTER * label.length;
    const places = [
      [8, 4],
      [6, -8],
      [6, 16],
      [-8 - width, 4],
      [-6 - width, -8],
      [-6 - width, 16],
    ] as const;
    for (const [dx, dy] of places) {
      const [left, base] = [atX(x) + dx, atY(y) + dy];
      const box = { left, right: left + width, top: base - FONT + 2, bottom: base + 2 };
      if (box.left < LEFT || box.right > WIDTH || box.top < 0) continue;
      if (taken.some((other) => overlap(other, box))) continue;
      taken.push(box);
      parts.push(text(left, base, label));
      break;
    }
  }
  return parts.join('\n');
}

const around = (x: number, y: number, by: number): Box => ({
  left: x - by,
  right: x + by,
  top: y - by,
  bottom: y + by,
});

const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

function frame(title: string, height: number): string {
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  const name = escapeHtml(title);
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${name}">
<text x="0" y="14" font-size="14" font-weight="600">${name}</text>`;
}

function legend(entries: readonly (readonly [name: string, colour: string])[]): string {
  let x = LEFT;
  return entries
    .map(([name, fill]) => {
      const entry = `<rect x="${round(x)}" y="25" width="10" height="10" fill="${fill}"/>${text(x + 15, 34, name)}`;
      x += 35 + LETTER * name.length;
      return entry;
    })
    .join('\n');
}

function axes(
  x: Axis,
  y: Axis,
  [scaleX, scaleY]: readonly [Scale, Scale],
  [atX, atY]: readonly [(value: number) => number, (value: number) => number],
  height: number,
): string {
  const lines: string[] = [];
  for (const tick of scaleX.ticks) {
    const at = round(atX(tick));
    lines.push(`<line x1="${at}" x2="${at}" y1="${TOP}" y2="${height - BOTTOM}" stroke="#eaeef2"/>`);
    lines.push(text(at, height - BOTTOM + 16, short(tick), 'text-anchor="middle"'));
  }
  for (const tick of scaleY.ticks) {
    const at = round(atY(tick));
    lines.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#d0d7de"/>`);
    lines.push(text(LEFT - 6, at + 4, short(tick), 'text-anchor="end"'));
  }
  lines.push(text(WIDTH / 2, height - 10, x.name, 'text-anchor="middle"'));
  lines.push(
    text(14, height / 2, y.name, `text-anchor="middle" transform="rotate(-90 14 ${round(height / 2)})"`),
  );
  return lines.join('\n');
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${FONT}" ${more}>${escapeHtml(content)}</text>`;
}

const colour = (index: number) => COLOURS[index % COLOURS.length]!;
const round = (value: number) => Math.round(value * 10) / 10;
const short = (value: number) => String(Number(value.toPrecision(4)));

export function escapeHtml(content: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return content.replace(/[&<>"']/g, (character) => entities[character]!);
}
