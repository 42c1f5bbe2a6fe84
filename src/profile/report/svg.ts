/** Plots as inline SVG: no scripts, no fonts, no network. */

export interface Series {
  name: string;
  points: readonly { x: number; y: number; label?: string }[];
  /** Points are joined by a line, or stand alone. */
  line: boolean;
}

export interface Plot {
  title: string;
  x: string;
  y: string;
  series: readonly Series[];
  /** Also draw the line of those points that no other beats in both x and y. */
  front?: boolean;
}

const [WIDTH, HEIGHT] = [800, 320];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 16, 28, 44];
const COLOURS = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700', '#8250df', '#57606a'];
const TICKS = 5;

/** A plot of points and lines over two axes that begin at 0. */
export function plot({ title, x, y, series, front }: Plot): string {
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) return '';
  const [endX, endY] = [niceEnd(Math.max(...all.map((p) => p.x))), niceEnd(Math.max(...all.map((p) => p.y)))];
  const atX = (value: number) => LEFT + (value / endX) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number) => HEIGHT - BOTTOM - (value / endY) * (HEIGHT - TOP - BOTTOM);
  const parts = [frame(title), axis(x, y, endX, endY, atX, atY)];
  for (const [index, { name, points, line }] of series.entries()) {
    const colour = COLOURS[index % COLOURS.length]!;
    if (line) {
      const path = points.map((p) => `${round(atX(p.x))},${round(atY(p.y))}`).join(' ');
      parts.push(`<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${path}"/>`);
    } else {
      for (const p of points) {
        const where = `cx="${round(atX(p.x))}" cy="${round(atY(p.y))}"`;
        parts.push(
          `<circle ${where} r="4" fill="${colour}"><title>${escapeHtml(p.label ?? name)}</title></circle>`,
        );
      }
    }
    if (series.length > 1) parts.push(text(LEFT + 8 + 130 * index, TOP - 6, name, `fill="${colour}"`));
  }
  if (front) {
    const best = pareto(all);
    const path = best.map((p) => `${round(atX(p.x))},${round(atY(p.y))}`).join(' ');
    parts.push(`<polyline fill="none" stroke="#57606a" stroke-dasharray="4 3" points="${path}"/>`);
    for (const p of best) parts.push(text(atX(p.x) + 6, atY(p.y) - 6, p.label ?? ''));
  }
  return `${parts.join('\n')}\n</svg>`;
}

export interface Bar {
  name: string;
  /** Lengths one after the other, such as percentiles; the largest last. */
  values: readonly number[];
  shown: string;
}

/** Horizontal bars, each in shades up to its last value. */
export function bars(title: string, unit: string, rows: readonly Bar[]): string {
  if (rows.length === 0) return '';
  const height = TOP + 24 * rows.length + 12;
  const left = 300;
  const end = Math.max(...rows.flatMap(({ values }) => values), Number.MIN_VALUE);
  const length = (value: number) => round((value / end) * (WIDTH - left - 150));
  const parts = [frame(`${title}, ${unit}`, height)];
  for (const [index, { name, values, shown }] of rows.entries()) {
    const y = TOP + 24 * index;
    for (const [shade, value] of [...values.entries()].reverse()) {
      const opacity = (0.9 - (0.7 * shade) / Math.max(1, values.length)).toFixed(2);
      const size = `x="${left}" y="${y + 3}" width="${length(value)}" height="16"`;
      parts.push(`<rect ${size} fill="${COLOURS[0]}" fill-opacity="${opacity}"/>`);
    }
    parts.push(text(left - 6, y + 15, name, 'text-anchor="end"'));
    parts.push(text(left + length(Math.max(...values)) + 6, y + 15, shown));
  }
  return `${parts.join('\n')}\n</svg>`;
}

interface Point {
  x: number;
  y: number;
  label?: string;
}

/** Those points that no other beats in both, in the order of x. */
export function pareto(points: readonly Point[]): Point[] {
  const best: Point[] = [];
  for (const point of points.toSorted((a, b) => b.x - a.x || b.y - a.y)) {
    if (point.y > (best.at(-1)?.y ?? Number.NEGATIVE_INFINITY)) best.push(point);
  }
  return best.reverse();
}

function frame(title: string, height = HEIGHT): string {
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escapeHtml(title)}">`;
}

function axis(
  x: string,
  y: string,
  endX: number,
  endY: number,
  atX: (value: number) => number,
  atY: (value: number) => number,
): string {
  const lines: string[] = [];
  for (let tick = 0; tick <= TICKS; tick++) {
    const [valueX, valueY] = [(tick / TICKS) * endX, (tick / TICKS) * endY];
    const gx = round(atX(valueX));
    const gy = round(atY(valueY));
    lines.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${gy}" y2="${gy}" stroke="#d0d7de"/>`);
    lines.push(text(gx, HEIGHT - BOTTOM + 16, short(valueX), 'text-anchor="middle"'));
    lines.push(text(LEFT - 6, gy + 4, short(valueY), 'text-anchor="end"'));
  }
  lines.push(text(WIDTH / 2, HEIGHT - 8, x, 'text-anchor="middle"'));
  lines.push(text(14, HEIGHT / 2, y, `text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})"`));
  return lines.join('\n');
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="12" ${more}>${escapeHtml(content)}</text>`;
}

/** A round number that is not much greater. */
function niceEnd(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((end) => end >= value)!;
}

const round = (value: number) => Math.round(value * 10) / 10;
const short = (value: number) => String(Number(value.toPrecision(3)));

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
