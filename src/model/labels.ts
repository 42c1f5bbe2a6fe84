/** Reads a labels file: one label a line, UTF-8; a leading class number ("0  tench") on every line is dropped. */
export function parseLabels(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const numbered = lines.map((line) => /^(\d+)[\s:,]+(.+)$/.exec(line));
  const inOrder = numbered.every((match, index) => match && Number(match[1]) === index);
  return inOrder ? numbered.map((match) => match![2]!) : lines;
}
