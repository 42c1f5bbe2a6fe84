import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { csv, readReport, writeReport } from '../../../src/profile/report/files.ts';
import { html } from '../../../src/profile/report/html.ts';
import { pareto, plot } from '../../../src/profile/report/svg.ts';
import { table } from '../../../src/profile/report/table.ts';
import { makeRow } from '../../../src/profile/rows.ts';
import type { SustainSample } from '../../../src/profile/types.ts';
import { judge } from '../../../src/profile/verdict.ts';
import { POINT, report, round, stamp } from '../../fakes/profile.ts';
import { tempFolder } from '../../support/daemon.ts';

test('MLPerf’s names are given only to what has enough queries', () => {
  const few = table(report([100]));
  assert.match(few, /one query after the other: p90 9\.00 ms over 400 queries/);
  assert.doesNotMatch(few, /MLPerf/);
  const many = table(report([100, 100, 100]));
  assert.match(many, /MLPerf-style single-stream: p90 9\.00 ms over 1200 queries/);
  assert.match(many, /MLPerf-style multi-stream \(8 samples each\): p99 9\.00 ms over 1200 queries/);
});

test('the table warns of all that takes away from its figures', () => {
  const hot = stamp({
    throttled: true,
    throttle_reasons: ['throttled'],
    temperature_c: 84,
    others_percent: 40,
  });
  const failed = [{ code: 'PROFILE_CRASHED' as const, message: 'the process was ended by SIGSEGV' }];
  const text = table(
    report([100], {
      interrupted: true,
      rows: [
        makeRow(POINT, null, [{ ...round(100), after: hot }], []),
        makeRow({ ...POINT, threads: 2 }, null, [], failed),
      ],
    }),
  );
  assert.match(text, /84 °C 1800 MHz throttled/);
  assert.match(text, /Other programs took up to 40 %/);
  assert.match(text, /measured once/);
  assert.match(text, /Ended before its time/);
  assert.match(text, /builtin 2×1 cpu 640x480 raw: PROFILE_CRASHED: the process was ended by SIGSEGV/);
});

test('every line of the CSV has a value for each column, quoted where that is needed', () => {
  const [head, ...lines] = csv(report([100, 110, 90]))
    .trimEnd()
    .split('\r\n');
  const cells = (line: string) => line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)!.length - 1;
  assert.equal(lines.length, 1);
  assert.equal(cells(lines[0]!), cells(head!));
  assert.match(lines[0]!, /"Debian, ""trixie"""/);
  for (const column of [
    'pipeline_fps_low',
    'pipeline_inference_p99_ms',
    'throttled',
    'governor',
    'sha256',
    'kernel',
  ]) {
    assert.ok(head!.split(',').includes(column), column);
  }
});

test('the page stands alone: nothing from the network, no scripts, and every name is escaped', () => {
  const samples: SustainSample[] = Array.from({ length: 10 }, (_, t) => ({
    ...{ t, fps: 20, latencyP50: 40, latencyP90: 45, mhz: 1800, watts: 5 },
    ...{ temperature_c: 50 + t, throttled: false, throttle_reasons: [] },
  }));
  const page = html(report([100, 101], { sustained: { point: POINT, samples, verdict: judge(samples) } }));
  const links = page.replaceAll('http://www.w3.org/2000/svg', '');
  assert.doesNotMatch(links, /https?:|<script|<link|<img|@import|url\(/);
  assert.match(page, /Raspberry Pi 5 &lt;Model B&gt;/);
  assert.doesNotMatch(page, /<Model B>/);
  for (const title of ['Figures', 'Latency of the model', 'Operators', 'Sustained', 'Where and with what']) {
    assert.ok(page.includes(`<h2>${title}</h2>`), title);
  }
  assert.equal(page.match(/<polyline/g)!.length, 5, 'rate, latency, clock, temperature, power');
  assert.equal(page.match(/<svg/g)?.length, page.match(/<\/svg>/g)?.length);
});

test('the front holds what nothing beats in both', () => {
  const points = [
    { x: 10, y: 70 },
    { x: 20, y: 60 },
    { x: 15, y: 50 },
    { x: 30, y: 60 },
    { x: 40, y: 10 },
  ];
  assert.deepEqual(pareto(points), [points[0], points[3], points[4]]);
});

test('a plot of nothing is none, and one of zeros can be drawn', () => {
  const axes = { title: 't', x: 'x', y: 'y' };
  assert.equal(plot({ ...axes, series: [] }), '');
  assert.doesNotMatch(
    plot({ ...axes, series: [{ name: 's', points: [{ x: 0, y: 0 }], line: true }] }),
    /NaN|Infinity/,
  );
});

test('a report is read as it was written; anything else is refused', async () => {
  const folder = tempFolder();
  const written = report([100, 101, 99]);
  const files = await writeReport(written, join(folder, 'out'));
  assert.deepEqual(
    files,
    ['json', 'csv', 'html'].map((kind) => join(folder, `out.${kind}`)),
  );
  assert.deepEqual(await readReport(files[0]!), written);
  const wrong = join(folder, 'wrong.json');
  for (const content of ['{}', 'no JSON', JSON.stringify({ ...written, version: 99 })]) {
    writeFileSync(wrong, content);
    await assert.rejects(readReport(wrong), { code: 'PROFILE_INVALID' });
  }
  await assert.rejects(writeReport(written, join(folder, 'missing', 'out')), { code: 'PROFILE_UNWRITABLE' });
});
