import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeRow } from '../../../src/profile/profile-rows.ts';
import type { SustainSample } from '../../../src/profile/profile-types.ts';
import { html } from '../../../src/profile/report/html.ts';
import { checkWritable, csv, readReport, writeReport } from '../../../src/profile/report/report-files.ts';
import { scaleOf } from '../../../src/profile/report/scale.ts';
import { pareto, plot } from '../../../src/profile/report/svg.ts';
import { table } from '../../../src/profile/report/table.ts';
import { judge } from '../../../src/profile/verdict.ts';
import { POINT, report, round, stamp } from '../../fakes/profile.ts';
import { tempFolder } from '../../support/daemon.ts';

test('MLPerf’s names are used only with enough queries', () => {
  const few = table(report([100]));
  assert.match(
    few,
    /one query after the other: p90 9\.00 ms over 400 queries; MLPerf-style needs 1024: use about --seconds 12$/m,
  );
  assert.doesNotMatch(few, /MLPerf-style (single|multi)-stream/);
  const many = table(report([100, 100, 100]));
  assert.match(many, /MLPerf-style single-stream: p90 9\.00 ms over 1200 queries/);
  assert.match(many, /MLPerf-style multi-stream \(8 samples each\): p99 9\.00 ms over 1200 queries/);
});

test('the table warns of everything that makes its figures doubtful', () => {
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
  assert.match(text, /Other programs used up to 40 %/);
  assert.match(text, /measured once/);
  assert.match(text, /Interrupted: these are the results so far/);
  assert.match(text, /builtin 2×1 cpu 640x480 raw: PROFILE_CRASHED: the process was ended by SIGSEGV/);
});

test('every report has the cost of a frame without its inference', () => {
  // 99 % of a core at 100 frames per second is 9.9 ms for a frame, of which inference takes 9.
  assert.match(table(report([100])), / {2}rest ms {2}[\s\S]*? {2}0\.90 {2}/);
  assert.match(csv(report([100])), /,rest_ms,rest_ms_low,rest_ms_high,[\s\S]*?,0\.9,0\.9,0\.9,/);
  assert.match(html(report([100])), /processor time per frame beyond inference, ms[\s\S]*?0\.90/);
});

test('every line of the CSV has a value for each column, quoted if necessary', () => {
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

test('the page is self-contained: no network, no scripts, and every name is escaped', () => {
  const samples: SustainSample[] = Array.from({ length: 10 }, (_, t) => ({
    t,
    fps: 20,
    latencyP50: 40,
    latencyP90: 45,
    mhz: 1800,
    watts: 5,
    temperature_c: 50 + t,
    throttled: false,
    throttle_reasons: [],
  }));
  const page = html(report([100, 101], { sustained: { point: POINT, samples, verdict: judge(samples) } }));
  const links = page.replaceAll('http://www.w3.org/2000/svg', '');
  assert.doesNotMatch(links, /https?:|<script|<link|<img|@import|url\(/);
  assert.match(page, /Raspberry Pi 5 &lt;Model B&gt;/);
  assert.doesNotMatch(page, /<Model B>/);
  for (const title of [
    'Figures',
    'Latency of the model',
    'Operators',
    'Sustained',
    'Machine, software and models',
  ]) {
    assert.ok(page.includes(`<h2>${title}</h2>`), title);
  }
  assert.equal(page.match(/<polyline/g)!.length, 5, 'rate, latency, clock, temperature, power');
  assert.equal(page.match(/<svg/g)?.length, page.match(/<\/svg>/g)?.length);
});

test('the front has the points that no other beats in both', () => {
  const points = [
    { x: 10, y: 70 },
    { x: 20, y: 60 },
    { x: 15, y: 50 },
    { x: 30, y: 60 },
    { x: 40, y: 10 },
  ];
  assert.deepEqual(pareto(points), [points[0], points[3], points[4]]);
});

test('a plot without points is empty, and one of zeros can be drawn', () => {
  const axes = { title: 't', x: { name: 'x', scale: 'log' }, y: { name: 'y', scale: 'zero' } } as const;
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
  const { rows: _, ...part } = written;
  const wrongs = [
    '{}',
    'no JSON',
    ...[{ ...written, version: 99 }, part].map((wrong) => JSON.stringify(wrong)),
  ];
  for (const content of wrongs) {
    writeFileSync(wrong, content);
    await assert.rejects(readReport(wrong), { code: 'PROFILE_INVALID' });
  }
  await assert.rejects(writeReport(written, join(folder, 'missing', 'out')), { code: 'PROFILE_UNWRITABLE' });
});

test('whether a report can be written is checked before the measurement, and the check leaves nothing', async () => {
  const folder = tempFolder();
  await checkWritable(join(folder, 'out'));
  assert.deepEqual(readdirSync(folder), []);
  await assert.rejects(checkWritable(join(folder, 'missing', 'out')), {
    code: 'PROFILE_UNWRITABLE',
    message: /^--out .*missing/,
  });
});

test('axes end at round numbers around their values', () => {
  assert.deepEqual(scaleOf([3, 55], 'zero').ticks, [0, 10, 20, 30, 40, 50, 60]);
  assert.deepEqual(scaleOf([45.5, 75], 'near').ticks, [45, 50, 55, 60, 65, 70, 75]);
  assert.deepEqual(scaleOf([7, 300], 'log').ticks, [5, 10, 20, 50, 100, 200, 500]);
  assert.deepEqual(
    scaleOf([0.001, 9e6], 'log').ticks.slice(0, 3),
    [0.001, 0.01, 0.1],
    'a wide one is thinned out',
  );
  const { at } = scaleOf([7, 300], 'log');
  assert.ok(Math.abs(at(5)) < 1e-9 && Math.abs(at(500) - 1) < 1e-9 && Math.abs(at(50) - 0.5) < 1e-9);
  for (const kind of ['zero', 'near', 'log'] as const) {
    const { at, ticks } = scaleOf([50, 50], kind);
    assert.ok(ticks.length >= 2 && at(50) >= 0 && at(50) <= 1, kind);
  }
});

test('a plot marks when the board throttled, and no two labels overlap', () => {
  const axes = { title: 't', x: { name: 'x', scale: 'log' }, y: { name: 'y', scale: 'near' } } as const;
  const points = Array.from({ length: 40 }, (_, index) => ({
    x: 10 + index / 100,
    y: 50,
    label: `m${index}`,
  }));
  const spans = [{ from: 10, to: 10.2, name: 'slowed' }];
  const drawn = plot({ ...axes, series: [{ name: 's', points, line: false }], spans });
  assert.equal(drawn.match(/<circle/g)?.length, 40);
  assert.ok(drawn.match(/>m\d+</g)!.length < 10, 'the others tell their names under the pointer');
  assert.match(drawn, /fill-opacity="0\.12"><title>slowed</);
});

test('skipped points and a failed long run are listed', () => {
  const lacking = report([100], {
    leftOut: ['builtin 4×1 cpu 640x480 raw'],
    sustainFailure: { code: 'PROFILE_CRASHED', message: 'the process was ended by SIGKILL' },
  });
  for (const text of [table(lacking), html(lacking)]) {
    assert.match(text, /lack of time|no time left/);
    assert.match(text, /builtin 4×1 cpu/);
    assert.match(text, /long run: PROFILE_CRASHED: .*SIGKILL/);
  }
});

test('a figure without an interval has none', () => {
  const page = html(report([100]));
  assert.doesNotMatch(page, /NaN/);
  assert.match(page, /<td>0\.00<\/td>/, 'the processor time of no camera programs');
});
