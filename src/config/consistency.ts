/** Rules between settings, and rules for names. */
import { checkAddresses, type Report } from './address-rules.ts';
import { layerLabel } from './label-layers.ts';
import { DEFAULT_MODEL, NAME } from './names.ts';
import { polygonFlaw } from './polygon.ts';
import { type Problem, show } from './problems.ts';
import type { CameraConfig, Config, LabelConfig } from './schema.ts';

/** Problems between settings that are each valid on their own. */
export function checkConsistency(config: Config): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });

  for (const [label, settings] of Object.entries(config.labels))
    checkLabel(report, ['labels', label], layerLabel(settings));
  for (const [name, camera] of Object.entries(config.cameras)) {
    const at = ['cameras', name];
    checkSource(report, [...at, 'source'], camera);
    checkZones(report, at, camera);
    for (const [label, settings] of Object.entries(camera.labels)) {
      checkLabel(report, [...at, 'labels', label], layerLabel(config.labels[label], settings));
    }
  }

  checkModels(report, config);

  const { mqtt } = config;
  if (mqtt.username !== undefined && mqtt.username_file !== undefined) {
    report(['mqtt', 'username'], 'expected either `username` or `username_file`, found both');
  }
  if ((mqtt.cert_file === undefined) !== (mqtt.key_file === undefined)) {
    report(
      ['mqtt', mqtt.cert_file ? 'cert_file' : 'key_file'],
      'expected both `cert_file` and `key_file`, found only one',
    );
  }
  checkAddresses(report, config);
  return problems;
}

/** Problems with the names of cameras, zones and models. The settings may have any shape. */
export function checkNames(raw: unknown): Problem[] {
  const problems: Problem[] = [];
  const check = (path: string[], group: unknown) => {
    for (const [name, value] of entries(group)) {
      if (!NAME.pattern.test(name)) {
        problems.push({
          path: [...path, name],
          message: `expected a name of ${NAME.rule}, found ${show(name)}`,
        });
      }
      if (path.length === 1 && path[0] === 'cameras')
        check([...path, name, 'zones'], entries(value).find(([key]) => key === 'zones')?.[1]);
    }
  };
  check(['models'], entries(raw).find(([key]) => key === 'models')?.[1]);
  check(['cameras'], entries(raw).find(([key]) => key === 'cameras')?.[1]);
  return problems;
}

const entries = (value: unknown) =>
  typeof value === 'object' && value !== null ? Object.entries(value) : [];

function checkLabel(report: Report, path: PropertyKey[], label: LabelConfig): void {
  const { on, off, window, hits, min, max } = label;
  if (off > on) report([...path, 'off'], `expected at most \`on\` (${on}), found ${off}`);
  if (hits > window) report([...path, 'hits'], `expected at most \`window\` (${window}), found ${hits}`);
  if (min > max) report([...path, 'min'], `expected at most \`max\` (${max}), found ${min}`);
}

function checkModels(report: Report, { models, cameras }: Config): void {
  if (Object.hasOwn(models, DEFAULT_MODEL)) {
    report(['models', DEFAULT_MODEL], 'expected another name: `default` is the model under `model`');
  }
  const names = [DEFAULT_MODEL, ...Object.keys(models)];
  const check = (path: PropertyKey[], name: string | undefined) => {
    if (name === undefined || names.includes(name)) return;
    report([...path, 'model'], `expected one of the models ${names.join(', ')}, found ${show(name)}`);
  };
  for (const [name, { model, zones }] of Object.entries(cameras)) {
    check(['cameras', name], model);
    for (const [zone, settings] of Object.entries(zones)) {
      check(['cameras', name, 'zones', zone], settings.model);
    }
  }
}

function checkSource(report: Report, path: PropertyKey[], { source }: CameraConfig): void {
  if (source.kind !== 'rtsp' && source.kind !== 'http') return;
  if ((source.url === undefined) === (source.url_file === undefined)) {
    report(
      path,
      `expected one of \`url\` and \`url_file\`, found ${source.url === undefined ? 'none' : 'both'}`,
    );
  }
}

function checkZones(report: Report, path: PropertyKey[], { zones, classify }: CameraConfig): void {
  if (classify === 'zones' && Object.keys(zones).length === 0) {
    report([...path, 'classify'], 'expected at least one zone for `classify: zones`, found none');
  }
  for (const [zone, { polygon }] of Object.entries(zones)) {
    const flaw = polygonFlaw(polygon);
    if (flaw) report([...path, 'zones', zone, 'polygon'], flaw);
  }
}
