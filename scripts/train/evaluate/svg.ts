/** Diagrams for the model card, as SVG. They keep to colours that are legible on light and dark pages. */
import type { Bin } from './measures.ts';

const INK = '#1b2733';
const PAPER = '#ffffff';
const FONT = 'font-family="system-ui, sans-serif"';

/** Rows: what it was; columns: what the model said; each cell the share of its row. */
export function confusionSvg(counts: readonly (readonly number[])[], labels: readonly string[]): string {
  const [cell, left, top] = [44, 96, 108];
  const side = cell * labels.length;
  const parts = labels.flatMap((label, row) => {
    const total = counts[row]!.reduce((sum, count) => sum + count, 0);
    const y = top + row * cell;
    const cells = counts[row]!.flatMap((count, column) => {
      const share = total ? count / total : 0;
      const x = left + column * cell;
      const fill = row === column ? '26, 115, 90' : '190, 60, 40';
      const strength = row === column ? share : Math.min(1, 4 * share);
      const ink = strength > 0.55 ? PAPER : INK;
      return [
        `<rect x="${x}" y="${y}" width="${cell - 1}" height="${cell - 1}" fill="rgba(${fill}, ${strength.toFixed(3)})"/>`,
        ...(count ? [text(x + cell / 2, y + cell / 2 + 4, String(count), { ink, anchor: 'middle' })] : []),
      ];
    });
    const column = left + row * cell + cell / 2;
    return [
      ...cells,
      text(left - 8, y + cell / 2 + 4, label, { anchor: 'end' }),
      `<g transform="translate(${column} ${top - 8}) rotate(-50)">${text(0, 0, label)}</g>`,
    ];
  });
  parts.push(text(left, 18, 'rows: what the picture shows · columns: what the model says', { size: 12 }));
  return page(left + side + 40, top + side + 16, parts);
}

/** Mean score against share of right answers, and below it how many answers each bin has. */
export function reliabilitySvg(bins: readonly Bin[], error: number): string {
  const [left, top, side, foot] = [52, 36, 320, 90];
  const x = (value: number) => left + value * side;
  const y = (value: number) => top + (1 - value) * side;
  const most = Math.max(...bins.map(({ count }) => count));
  const base = top + side + 30 + foot;
  const parts = bins.flatMap(({ from, to, count, score, right }) => {
    if (!count) return [];
    const width = x(to) - x(from) - 2;
    const height = (foot * count) / most;
    return [
      `<rect x="${x(from) + 1}" y="${y(right)}" width="${width}" height="${side * right}" fill="rgba(26, 115, 90, 0.55)"/>`,
      `<circle cx="${x(score)}" cy="${y(right)}" r="3.5" fill="${INK}"/>`,
      `<rect x="${x(from) + 1}" y="${base - height}" width="${width}" height="${height}" fill="rgba(70, 90, 110, 0.6)"/>`,
    ];
  });
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(text(x(tick), top + side + 16, `${100 * tick} %`, { anchor: 'middle', size: 11 }));
    parts.push(text(left - 6, y(tick) + 4, `${100 * tick} %`, { anchor: 'end', size: 11 }));
  }
  parts.push(
    `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" stroke="${INK}" stroke-dasharray="4 4"/>`,
    `<rect x="${left}" y="${top}" width="${side}" height="${side}" fill="none" stroke="${INK}"/>`,
    text(left, 20, `share of right answers by score · calibration error ${error.toFixed(3)}`, { size: 12 }),
    text(left, base + 16, 'how many answers have that score', { size: 12 }),
  );
  return page(left + side + 24, base + 28, parts);
}

function text(
  x: number,
  y: number,
  content: string,
  { ink = INK, anchor = 'start', size = 13 }: { ink?: string; anchor?: string; size?: number } = {},
): string {
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${ink}" text-anchor="${anchor}">${content}</text>`;
}

function page(width: number, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${FONT}>`,
    `<rect width="100%" height="100%" fill="${PAPER}"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}
