/**
 * Every setting: its meaning, unit, range and default. `config/lookout.schema.json`, the example file and
 * docs/configuration.md are held to this by a test.
 */
import { z } from 'zod';
import { NAME } from './names.ts';
import { sourceSchema } from './sources.ts';
import { CONFIG_VERSION } from './upgrade-config.ts';
import { fraction, path, seconds } from './values.ts';

const point = z.tuple([fraction, fraction]);

const labelFields = {
  on: fraction.describe('Score at which a frame counts for this label, 0…1.'),
  off: fraction.describe('Score below which a frame no longer holds an open event, 0…1; at most `on`.'),
  window: z.number().int().min(1).max(60).describe('How many of the last analysed frames are looked at.'),
  hits: z.number().int().min(1).max(60).describe('How many of them must reach `on` to start an event.'),
  hold: seconds(0, 3600).describe('Seconds without the label after which its event ends.'),
  min: seconds(0, 3600).describe(
    'Shortest event in seconds: one that would end sooner is kept open until then.',
  ),
  max: seconds(1, 86400).describe('Longest event in seconds; a longer one is ended and may start anew.'),
};
/** Labels and groups are compared in composed form, however their accents were typed. */
const labelName = z.string().normalize();

/** Some of a label's settings, to lay over others. */
export const labelOverride = z.strictObject(labelFields).partial();
export type LabelOverride = z.infer<typeof labelOverride>;
const label = z.strictObject({
  on: labelFields.on.default(0.6),
  off: labelFields.off.default(0.4),
  window: labelFields.window.default(5),
  hits: labelFields.hits.default(3),
  hold: labelFields.hold.default(5),
  min: labelFields.min.default(0),
  max: labelFields.max.default(3600),
});
/** A label with every setting at its default. */
export const defaultLabel: LabelConfig = label.parse({});

const motion = z.strictObject({
  sensitivity: z
    .number()
    .min(1)
    .max(10)
    .default(5)
    .describe(
      '1 sees only strong changes, 10 every leaf. The noise of the picture is measured and allowed for.',
    ),
  min_area: fraction.default(0.002).describe('Smallest moving area as a share of the picture, 0…1.'),
  max_regions: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(3)
    .describe('At most this many regions are classified in one frame.'),
  light_switch: fraction
    .default(0.7)
    .describe('A change of more than this share of the picture at once is a lamp or a cloud, not motion.'),
  linger: seconds(0, 60)
    .default(1)
    .describe('Seconds after the last motion during which frames are still analysed.'),
});

const zone = z.strictObject({
  polygon: z
    .array(point)
    .min(3)
    .max(32)
    .describe('Corners as [x, y], fractions of the upright picture, 0…1.'),
  labels: z.array(labelName).optional().describe('Only these labels make events here; by default all.'),
  model: z
    .string()
    .optional()
    .describe('Name of the model that looks at this zone; by default that of the camera.'),
});

const camera = z.strictObject({
  source: sourceSchema,
  enabled: z.boolean().default(true).describe('Whether the camera runs at all.'),
  detect: z.boolean().default(true).describe('Whether its pictures are analysed.'),
  rotate: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
    .default(0)
    .describe('Degrees clockwise.'),
  mirror: z.enum(['none', 'horizontal', 'vertical']).default('none').describe('Flip, after rotation.'),
  classify: z
    .enum(['frame', 'motion', 'zones'])
    .default('motion')
    .describe('What is shown to the model: the whole frame, the regions that moved, or the fixed zones.'),
  gate: z
    .enum(['motion', 'always'])
    .default('motion')
    .describe('`motion` runs the model only while something moves; `always` on every frame.'),
  interval: seconds(0, 86400)
    .default(60)
    .describe('With `gate: motion`, analyse the whole frame this often even when nothing moves; 0: never.'),
  stall: seconds(1, 600)
    .default(10)
    .describe('Seconds without a picture after which the source is restarted; never less than 3 intervals.'),
  motion: motion.prefault({}),
  zones: z.record(z.string(), zone).default({}),
  model: z
    .string()
    .optional()
    .describe('Name of its model, one of `models`; by default `default`, which is the one under `model`.'),
  labels: z
    .record(labelName, labelOverride)
    .default({})
    .describe('Overrides of the top-level `labels` for this camera.'),
});

const model = z.strictObject({
  file: path
    .default('builtin')
    .describe(
      '`builtin`, the name of an added model (`lookout model list`), or an .onnx file, with its description inside or beside it (.json).',
    ),
  description: path
    .optional()
    .describe('The model’s description (.json), if neither inside the model nor beside it.'),
  labels: path.optional().describe('Text file with one label a line, for a model that carries none.'),
  providers: z
    .array(z.enum(['tensorrt', 'cuda', 'cpu']))
    .min(1)
    .default(['tensorrt', 'cuda', 'cpu'])
    .describe('Execution providers in order of preference; those that are absent are passed over, aloud.'),
  threads: z
    .number()
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('Threads for one inference; 0: half of the cores, at least 1.'),
  sessions: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'How many inferences run at once, each with its own `threads` and its own copy of the model in memory.',
    ),
  spinning: z
    .boolean()
    .default(false)
    .describe('Let inference threads wait busily: a little faster, a whole core hotter.'),
  exact: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      '`auto`: int8 sums are exact; x86 processors without VNNI take a slower kernel for that. `never`: the faster kernel, which clips sums there, so that scores are wrong. `always`: the slower one with VNNI too, to compare.',
    ),
});

const store = z.strictObject({
  file: path.default('lookout.db').describe('Database, relative to `data_dir`.'),
  snapshots: path.default('snapshots').describe('Folder of the JPEG files, relative to `data_dir`.'),
  commit_interval: seconds(0.1, 300)
    .default(60)
    .describe('Seconds for which detections are gathered before one write. Events are written at once.'),
  log_threshold: fraction.default(0.2).describe('Detections with a lower score are not logged.'),
  annotate: z.boolean().default(false).describe('Draw the box, label and time into saved snapshots.'),
  quality: z.number().int().min(1).max(100).default(85).describe('JPEG quality of snapshots.'),
  keep_events: z.number().min(1).max(3650).default(90).describe('Days after which events are deleted.'),
  keep_detections: z
    .number()
    .min(1)
    .max(3650)
    .default(7)
    .describe('Days after which detections are deleted.'),
  keep_samples: z
    .number()
    .min(1)
    .max(3650)
    .default(30)
    .describe('Days after which health samples are deleted.'),
  keep_snapshots: z.number().min(1).max(3650).default(30).describe('Days after which snapshots are deleted.'),
  keep_newest_snapshots: z
    .number()
    .min(0)
    .max(365)
    .default(1)
    .describe(
      'Days of the newest snapshots that stay when the disk is full; older ones make room. `max_snapshots` counts all the same.',
    ),
  max_database: z
    .number()
    .int()
    .min(10)
    .max(1_000_000)
    .default(500)
    .describe('Largest database in MB; the oldest detections, then events go first.'),
  max_snapshots: z
    .number()
    .int()
    .min(10)
    .max(10_000_000)
    .default(2000)
    .describe('Largest snapshot folder in MB; the oldest go first.'),
  max_outbox: z
    .number()
    .int()
    .min(100)
    .max(10_000_000)
    .default(100_000)
    .describe('Most messages that wait for the broker; the oldest updates are dropped first, and counted.'),
  max_outbox_size: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Most MB of messages that wait for the broker.'),
  max_writes_per_day: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(200)
    .describe(
      'MB that may be written in a day, to spare an SD card. As they run out detections are written less often, then neither detections nor pictures; events always are.',
    ),
  keep_outbox: z
    .number()
    .min(0.01)
    .max(365)
    .default(14)
    .describe('Days after which a message that still waits for the broker is dropped, and counted.'),
});

const mqtt = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether anything is published at all.'),
  url: z
    .string()
    .regex(
      /^(embedded$|mqtts?:\/\/|wss?:\/\/)/,
      '`embedded`, or mqtt://host:1883, mqtts://host:8883, ws://… or wss://…',
    )
    .default('embedded')
    .describe(
      '`embedded` starts a broker inside Lookout; else the address of yours, without user and password.',
    ),
  version: z
    .union([z.literal(4), z.literal(5)])
    .default(5)
    .describe('MQTT protocol: 4 is version 3.1.1. The embedded broker speaks 4.'),
  base: z
    .string()
    .regex(/^[^#+/\s]+(\/[^#+/\s]+)*$/, 'a topic without wildcards')
    .default('lookout')
    .describe('First part of every topic.'),
  client_id: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, '1 to 128 letters, digits and signs of ASCII, without spaces')
    .optional()
    .describe(
      'Name of this device for the broker, for one that takes certain names only; by default made of `base` and `device`. No two clients may have the same.',
    ),
  username: z.string().optional().describe('User name at the broker.'),
  username_file: path.optional().describe('File that holds the user name.'),
  password_file: path
    .optional()
    .describe('File that holds the password. There is no `password`: it does not belong into a config file.'),
  ca_file: path.optional().describe('CA certificate (PEM) that signed the broker’s.'),
  cert_file: path.optional().describe('Client certificate (PEM).'),
  key_file: path.optional().describe('Client key (PEM).'),
  verify: z
    .boolean()
    .default(true)
    .describe('Check the broker’s certificate. `false` lets anyone read along.'),
  keepalive: seconds(5, 3600).default(30).describe('Seconds between signs of life to the broker.'),
  discovery: z
    .string()
    .regex(/^[^#+/\s]+$|^$/)
    .default('homeassistant')
    .describe('Home Assistant’s discovery prefix; empty: no discovery.'),
  embedded_host: z
    .string()
    .default('127.0.0.1')
    .describe('Address the embedded broker listens on. It asks for no password: keep it on loopback.'),
  embedded_port: z.number().int().min(0).max(65535).default(1883).describe('Its port; 0: any free one.'),
});

export const configSchema = z.strictObject({
  version: z
    .number()
    .int()
    .min(1)
    .max(CONFIG_VERSION)
    .default(CONFIG_VERSION)
    .describe('By which rules this file is written. Files of earlier versions are understood, too.'),
  device: z
    .string()
    .regex(NAME.pattern, NAME.rule)
    .optional()
    .describe('Name of this device in topics; by default the host name.'),
  data_dir: path.default('./data').describe('Where the database and the snapshots live.'),
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error'])
        .default('info')
        .describe('Least level that is logged.'),
      format: z
        .enum(['auto', 'pretty', 'json'])
        .default('auto')
        .describe('`auto`: readable on a terminal, JSON elsewhere.'),
    })
    .prefault({}),
  cameras: z
    .record(z.string(), camera)
    .refine((cameras) => Object.keys(cameras).length > 0, 'at least one camera')
    .prefault({ demo: { source: { kind: 'demo' } } }),
  model: model.prefault({}),
  models: z
    .record(z.string(), model)
    .default({})
    .describe('More models by name, for cameras and zones. Each is loaded once, and only while it is used.'),
  groups: z
    .record(labelName, z.array(labelName).min(1))
    .default({})
    .describe('Your own labels made of several of the model’s: a group’s score is the sum of its members’.'),
  labels: z
    .record(labelName, labelOverride)
    .default({})
    .describe('Labels and groups that make events. Empty: those the model’s description proposes.'),
  store: store.prefault({}),
  mqtt: mqtt.prefault({}),
  tune: z
    .strictObject({
      first_start: z
        .boolean()
        .default(false)
        .describe(
          'Measure at the first start with a model, a processor and an ONNX Runtime, and use the best threads and sessions from then on.',
        ),
      min_idle: z
        .number()
        .min(0)
        .max(99)
        .default(50)
        .describe('Percent of all cores that should stay idle then at the configured `fps`.'),
    })
    .prefault({}),
  thermal: z
    .strictObject({
      governor: z
        .boolean()
        .default(true)
        .describe('Analyse fewer frames before the board gets so hot that it slows itself down.'),
      limit: z
        .number()
        .min(30)
        .max(110)
        .optional()
        .describe(
          'Highest temperature of the processor in °C; by default 5 °C below where the kernel slows it down, or 75.',
        ),
    })
    .prefault({}),
  time: z
    .strictObject({
      tolerance: z
        .number()
        .min(1)
        .max(8760)
        .default(24)
        .describe(
          'Hours by which the clock may differ from the last run. While it differs by more, nothing is deleted for its age.',
        ),
      settle: z
        .number()
        .min(0.1)
        .max(720)
        .default(6)
        .describe(
          'Hours that the board must run until a time that differs by more is believed without a time server.',
        ),
    })
    .prefault({}),
  health_interval: seconds(1, 3600).default(60).describe('Seconds between health messages.'),
});

export type Config = z.infer<typeof configSchema>;
export type CameraConfig = Config['cameras'][string];
export type LabelConfig = z.infer<typeof label>;
export type MotionConfig = z.infer<typeof motion>;
export type ModelConfig = Config['model'];
export type StoreConfig = Config['store'];
export type MqttConfig = Config['mqtt'];
