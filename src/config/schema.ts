/**
 * Every setting: its meaning, unit, range and default. A test checks that `config/lookout.schema.json`, the example file
 * and docs/configuration.md match it.
 */
import { z } from 'zod';
import { NAME } from './names.ts';
import { path, seconds, sourceSchema } from './sources.ts';
import { CONFIG_VERSION } from './upgrade-config.ts';

const fraction = z.number().min(0).max(1);
const point = z.tuple([fraction, fraction]);

const labelFields = {
  on: fraction.describe('Score from which a frame counts as a hit for this label, 0…1.'),
  off: fraction.describe('Score below which a frame no longer keeps an open event open, 0…1; at most `on`.'),
  window: z
    .number()
    .int()
    .min(1)
    .max(60)
    .describe('Number of most recent analysed frames that are considered.'),
  hits: z
    .number()
    .int()
    .min(1)
    .max(60)
    .describe('Number of these frames that must reach `on` to start an event.'),
  hold: seconds(0, 3600).describe('Seconds without the label before its event ends.'),
  min: seconds(0, 3600).describe(
    'Shortest event in seconds; an event that would end sooner stays open until then.',
  ),
  max: seconds(1, 86400).describe('Longest event in seconds; a longer event ends and can start again.'),
};
/** Labels and groups are compared in Unicode's composed form (NFC), so it does not matter how accents were typed. */
const labelName = z.string().normalize();

/** Some of a label's settings, which override those of a weaker layer. */
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
      'Motion sensitivity: 1 detects only strong changes, 10 every leaf. The noise of the frames is measured and compensated.',
    ),
  min_area: fraction.default(0.002).describe('Smallest moving area as a fraction of the frame, 0…1.'),
  max_regions: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(3)
    .describe('Maximum number of regions classified in one frame.'),
  light_switch: fraction
    .default(0.7)
    .describe(
      'A sudden change of more than this fraction of the frame counts as a change of light, not as motion.',
    ),
  linger: seconds(0, 60)
    .default(1)
    .describe('Seconds after the last motion for which frames are still analysed.'),
});

const zone = z.strictObject({
  polygon: z
    .array(point)
    .min(3)
    .max(32)
    .describe('Corners as [x, y], fractions of the frame after rotation, 0…1.'),
  labels: z.array(labelName).optional().describe('Labels that make events in this zone; by default all.'),
  model: z
    .string()
    .optional()
    .describe('Name of the model that classifies this zone; by default the model of the camera.'),
});

const camera = z.strictObject({
  source: sourceSchema,
  enabled: z.boolean().default(true).describe('Whether the camera runs.'),
  detect: z.boolean().default(true).describe('Whether its frames are analysed.'),
  rotate: z
    .union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)])
    .default(0)
    .describe('Rotation in degrees, clockwise.'),
  mirror: z
    .enum(['none', 'horizontal', 'vertical'])
    .default('none')
    .describe('Direction in which frames are flipped, after rotation.'),
  classify: z
    .enum(['frame', 'motion', 'zones'])
    .default('motion')
    .describe('What the model classifies: the whole frame, the regions with motion, or the zones.'),
  gate: z
    .enum(['motion', 'always'])
    .default('motion')
    .describe('When the model runs: `motion`, only while something moves; `always`, on every frame.'),
  interval: seconds(0, 86400)
    .default(60)
    .describe(
      'Seconds after which the whole frame is analysed even if nothing moves, with `gate: motion`; 0: never.',
    ),
  stall: seconds(1, 600)
    .default(10)
    .describe('Seconds without a frame before the source is restarted; never less than 3 frame intervals.'),
  motion: motion.prefault({}),
  zones: z.record(z.string(), zone).default({}),
  model: z
    .string()
    .optional()
    .describe('Name of the model, one of `models`; by default `default`, which is the one in `model`.'),
  labels: z
    .record(labelName, labelOverride)
    .default({})
    .describe('Settings of labels for this camera; they override the top-level `labels`.'),
});

const model = z.strictObject({
  file: path
    .default('builtin')
    .describe(
      'Model to run: `builtin`, the name of an added model (`lookout model list`), or an .onnx file whose description is inside the file or next to it (.json).',
    ),
  description: path
    .optional()
    .describe('Description of the model (.json), if it is neither inside the model nor next to it.'),
  labels: path.optional().describe('Text file with one label per line, for a model that contains no labels.'),
  providers: z
    .array(z.enum(['tensorrt', 'cuda', 'cpu']))
    .min(1)
    .default(['tensorrt', 'cuda', 'cpu'])
    .describe('Execution providers in order of preference; unavailable ones are skipped with a log message.'),
  threads: z
    .number()
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('Threads per inference; 0: half of the cores, at least 1.'),
  sessions: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'Number of inferences that run in parallel, each with its own `threads` and its own copy of the model in memory.',
    ),
  spinning: z
    .boolean()
    .default(false)
    .describe('Busy-wait between inferences: slightly lower latency, one core always busy.'),
  exact: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe(
      'Whether int8 sums are exact. `auto`: exact; x86 processors without VNNI use a slower kernel for this. `never`: on those processors the faster kernel, which clips sums, so that scores are wrong. `always`: the slower kernel on processors with VNNI too, for comparison.',
    ),
});

const store = z.strictObject({
  file: path.default('lookout.db').describe('Database file, relative to `data_dir`.'),
  snapshots: path.default('snapshots').describe('Folder for snapshots (JPEG files), relative to `data_dir`.'),
  commit_interval: seconds(0.1, 300)
    .default(60)
    .describe(
      'Seconds for which detections are collected before they are written together. Events are written immediately.',
    ),
  log_threshold: fraction.default(0.2).describe('Detections with a lower score are not recorded.'),
  annotate: z.boolean().default(false).describe('Draw the box, label and time on saved snapshots.'),
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
      'Days of snapshots that are kept even if the disk is full; older ones are deleted to make room. `max_snapshots` still applies.',
    ),
  max_database: z
    .number()
    .int()
    .min(10)
    .max(1_000_000)
    .default(500)
    .describe(
      'Maximum size of the database in MB; the oldest detections are deleted first, then the oldest events.',
    ),
  max_snapshots: z
    .number()
    .int()
    .min(10)
    .max(10_000_000)
    .default(2000)
    .describe('Maximum size of the snapshot folder in MB; the oldest snapshots are deleted first.'),
  max_outbox: z
    .number()
    .int()
    .min(100)
    .max(10_000_000)
    .default(100_000)
    .describe(
      'Maximum number of messages that wait for the broker; the oldest updates are dropped first, and counted.',
    ),
  max_outbox_size: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Maximum size of the messages that wait for the broker, in MB.'),
  max_writes_per_day: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(200)
    .describe(
      'Write budget in MB per day, to spare an SD card. When it runs low, detections are written less often; then neither detections nor snapshots are written. Events are always written.',
    ),
  keep_outbox: z
    .number()
    .min(0.01)
    .max(365)
    .default(14)
    .describe('Days after which a message that still waits for the broker is dropped and counted.'),
});

const mqtt = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether Lookout publishes over MQTT.'),
  url: z
    .string()
    .regex(
      /^(embedded$|mqtts?:\/\/|wss?:\/\/)/,
      '`embedded`, or mqtt://host:1883, mqtts://host:8883, ws://… or wss://…',
    )
    .default('embedded')
    .describe('Broker URL, without user name and password; `embedded` starts a broker inside Lookout.'),
  version: z
    .union([z.literal(4), z.literal(5)])
    .default(5)
    .describe('MQTT protocol level: 4 is MQTT 3.1.1, 5 is MQTT 5. The embedded broker uses 4.'),
  base: z
    .string()
    .regex(/^[^#+/\s]+(\/[^#+/\s]+)*$/, 'a topic without wildcards')
    .default('lookout')
    .describe('Prefix of every topic.'),
  client_id: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, '1 to 128 printable ASCII characters without spaces')
    .optional()
    .describe(
      'MQTT client id, for a broker that accepts only certain ids; by default made from `base` and `device`. It must be unique among the clients of the broker.',
    ),
  username: z.string().optional().describe('User name for the broker.'),
  username_file: path.optional().describe('File that contains the user name.'),
  password_file: path
    .optional()
    .describe(
      'File that contains the password. There is no setting `password`: passwords do not belong in the config file.',
    ),
  ca_file: path.optional().describe('CA certificate (PEM) that signed the certificate of the broker.'),
  cert_file: path.optional().describe('Client certificate (PEM).'),
  key_file: path.optional().describe('Client key (PEM).'),
  verify: z
    .boolean()
    .default(true)
    .describe('Verify the certificate of the broker. `false` allows man-in-the-middle attacks.'),
  keepalive: seconds(5, 3600).default(30).describe('MQTT keepalive interval in seconds.'),
  discovery: z
    .string()
    .regex(/^[^#+/\s]+$|^$/)
    .default('homeassistant')
    .describe('Discovery prefix of Home Assistant; empty: no discovery.'),
  embedded_host: z
    .string()
    .default('127.0.0.1')
    .describe(
      'IP address or host name on which the embedded broker listens. The broker requires no password, so keep it on loopback.',
    ),
  embedded_port: z
    .number()
    .int()
    .min(0)
    .max(65535)
    .default(1883)
    .describe('Port of the embedded broker; 0: any free port.'),
});

export const configSchema = z.strictObject({
  version: z
    .number()
    .int()
    .min(1)
    .max(CONFIG_VERSION)
    .default(CONFIG_VERSION)
    .describe('Config file format version. Files of earlier versions work, too.'),
  device: z
    .string()
    .regex(NAME.pattern, NAME.rule)
    .optional()
    .describe('Name of this device in topics; by default derived from the host name.'),
  data_dir: path.default('./data').describe('Folder for the database, snapshots and added models.'),
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error'])
        .default('info')
        .describe('Minimum log level.'),
      format: z
        .enum(['auto', 'pretty', 'json'])
        .default('auto')
        .describe('Log format. `auto`: readable text on a terminal, JSON elsewhere.'),
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
    .describe(
      'Additional models by name, for cameras and zones. Each is loaded once, and only while it is in use.',
    ),
  groups: z
    .record(labelName, z.array(labelName).min(1))
    .default({})
    .describe(
      'Your own labels, each made of several labels of the model. The score of a group is the sum of the scores of its members.',
    ),
  labels: z
    .record(labelName, labelOverride)
    .default({})
    .describe('Labels and groups that make events. Empty: those that the description of the model proposes.'),
  store: store.prefault({}),
  mqtt: mqtt.prefault({}),
  tune: z
    .strictObject({
      first_start: z
        .boolean()
        .default(false)
        .describe(
          'Measure at the first start with a new combination of model, processor and ONNX Runtime version, and use the best `threads` and `sessions` from then on.',
        ),
      min_idle: z
        .number()
        .min(0)
        .max(99)
        .default(50)
        .describe(
          'Percentage of all cores that should stay idle at the configured `fps`, for the settings that `first_start` chooses.',
        ),
    })
    .prefault({}),
  thermal: z
    .strictObject({
      governor: z
        .boolean()
        .default(true)
        .describe('Analyse fewer frames before the board gets hot enough to throttle itself.'),
      limit: z
        .number()
        .min(30)
        .max(110)
        .optional()
        .describe(
          'Maximum temperature of the processor in °C; by default 5 °C below the temperature at which the kernel throttles it, or 75.',
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
          'Hours by which the clock may differ from the last run. While it differs by more, nothing is deleted because of its age.',
        ),
      settle: z
        .number()
        .min(0.1)
        .max(720)
        .default(6)
        .describe(
          'Hours that the board must run before a time that differs by more is trusted without a time server.',
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
