/** What no single setting can know: rules between settings. */
import { checkAddresses } from './address-rules.ts';
import { layerLabel } from './label-layers.ts';
import { DEFAULT_MODEL, NAME } from './names.ts';
import { polygonFlaw } from './polygon.ts';
import { type Problem, show } from './problems.ts';
import type { CameraConfig, Config, LabelConfig } from './schema.ts';

/** Problems between settings that are each valid by themselves. */
export function checkConsistency(config: Config): Problem[] {
  const problems: Problem[] = [];
  const say = (path: PropertyKey[], message: string) => problems.push({ path, message });

  for (const [label, settings] of Object.entries(config.labels))
    checkLabel(say, ['labels', label], layerLabel(settings));
  for (const [name, camera] of Object.entries(config.cameras)) {
    const at = ['cameras', name];
    checkSource(say, [...at, 'source'], camera);
    checkZones(say, at, camera);
    for (const [label, settings] of Object.entries(camera.labels)) {
      checkLabel(say, [...at, 'labels', label], layerLabel(config.labels[label], settings));
    }
  }

  checkModels(say, config);

  const { mqtt } = config;
  if (mqtt.username !== undefined && mqtt.username_file !== undefined) {
    say(['mqtt', 'username'], 'expected either `username` or `username_file`, found both');
  }
  if ((mqtt.cert_file === undefined) !== (mqtt.key_file === undefined)) {
    say(
      ['mqtt', mqtt.cert_file ? 'cert_file' : 'key_file'],
      'expected `cert_file` and `key_file` together, found one',
    );
  }
  checkAddresses(say, config);
  return problems;
}

/** Problems with the names of cameras, zones and models in settings of any shape. */
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

type Say = (path: PropertyKey[], message: string) => void;

function checkLabel(say: Say, path: PropertyKey[], label: LabelConfig): void {
  const { on, off, window, hits, min, max } = label;
  if (off > on) say([...path, 'off'], `expected at most \`on\` (${on}), found ${off}`);
  if (hits > window) say([...path, 'hits'], `expected at most \`window\` (${window}), found ${hits}`);
  if (min > max) say([...path, 'min'], `expected at most \`max\` (${max}), found ${min}`);
}

function checkModels(say: Say, { models, cameras }: Config): void {
  if (Object.hasOwn(models, DEFAULT_MODEL)) {
    say(['models', DEFAULT_MODEL], 'expected another name: `default` is the model under `model`');
  }
  const names = [DEFAULT_MODEL, ...Object.keys(models)];
  const check = (path: PropertyKey[], name: string | undefined) => {
    if (name === undefined || names.includes(name)) return;
    say([...path, 'model'], `expected one of the models ${names.join(', ')}, found ${show(name)}`);
  };
  for (const [name, { model, zones }] of Object.entries(cameras)) {
    check(['cameras', name], model);
    for (const [zone, settings] of Object.entries(zones)) {
      check(['cameras', name, 'zones', zone], settings.model);
    }
  }
}

function checkSource(say: Say, path: PropertyKey[], { source }: CameraConfig): void {
  if (source.kind !== 'rtsp' && source.kind !== 'http') return;
  if ((source.url === undefined) === (source.url_file === undefined)) {
    say(
      path,
      `expected one of \`url\` and \`url_file\`, found ${source.url === undefined ? 'none' : 'both'}`,
    );
  }
}

function checkZones(say: Say, path: PropertyKey[], { zones, classify }: CameraConfig): void {
  if (classify === 'zones' && Object.keys(zones).length === 0) {
    say([...path, 'classify'], 'expected `zones` to be drawn for `classify: zones`, found none');
  }
  for (const [zone, { polygon }] of Object.entries(zones)) {
    const flaw = polygonFlaw(polygon);
    if (flaw) say([...path, 'zones', zone, 'polygon'], flaw);
  }
}
