/**
 * Whether the broker accepts the connection, the messages and the subscription of Lookout. The check tries all of them,
 * with its own client id so that it does not disconnect a running daemon. It publishes each state unchanged, as the broker
 * retains it; the topic of events gets a message of type `test`.
 */
import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { LoadedConfig } from '../config/load-config.ts';
import { messageOf } from '../errors.ts';
import { BrokerLimits } from '../publish/broker-limits.ts';
import { brokerTarget } from '../publish/broker-target.ts';
import { isEncrypted } from '../publish/credentials.ts';
import { discoveryTopic } from '../publish/discovery.ts';
import { explain } from '../publish/failures.ts';
import { Session } from '../publish/mqtt-session.ts';
import { deviceId } from '../publish/topic-names.ts';
import { SETTINGS, Topics } from '../publish/topics.ts';
import { publicAddress } from '../runtime/address.ts';
import { labelsOf } from '../setup/resolved.ts';
import { type Check, type CheckContext, type Finding, fail, failed, ok, warn } from './check.ts';

const TIMEOUT_MS = 10_000;
/** Longest wait for a published message to arrive. */
const ECHO_MS = 2000;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;
/** Size of a large snapshot with its envelope. */
const SMALL_BYTES = 200_000;

const RULES = 'Correct the access rules of the broker: docs/mqtt.md, “Secure the broker”, has an example.';

type Config = LoadedConfig['config'];

export const checkBroker: Check = async (context) => {
  const { config } = context.loaded;
  const { mqtt } = config;
  if (!mqtt.enabled) return [ok('broker', 'MQTT is off')];
  if (mqtt.url === 'embedded') return [await embedded(config, context.running)];
  const findings: Finding[] = [];
  if (isEncrypted(mqtt.url)) {
    if (!mqtt.verify) {
      findings.push(
        warn(
          'broker',
          'mqtt.verify is off: a man in the middle can pretend to be the broker',
          'Remove `mqtt.verify: false` and set mqtt.ca_file.',
        ),
      );
    }
    findings.push(...(await certificate(mqtt)));
  } else if (mqtt.password_file && !/^\w+:\/\/(localhost|127\.|\[::1\])/.test(mqtt.url)) {
    findings.push(
      warn('broker', 'the password is sent unencrypted', 'Use mqtts://; see docs/mqtt.md, “TLS”.'),
    );
  }
  const attempt = new Attempt(config);
  try {
    await attempt.connect();
    findings.push(
      ok('broker', `${publicAddress(new URL(mqtt.url))} accepts the connection`),
      ...attempt.limits(),
    );
    findings.push(await attempt.publish(topicsOf(context)), await attempt.command());
  } catch (error) {
    findings.push(failed('broker', error));
  } finally {
    attempt.close();
  }
  return findings;
};

async function embedded({ mqtt }: Config, running: boolean): Promise<Finding> {
  const { embedded_host: host, embedded_port: port } = mqtt;
  if (running) return ok('broker', 'embedded, in the running daemon');
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, resolve);
    });
    return ok('broker', `embedded, port ${port} of ${host} is free`);
  } catch (error) {
    const advice =
      'Use the broker that already runs there (mqtt.url), or set mqtt.embedded_port to another port.';
    return fail('broker', `the embedded broker cannot listen: ${messageOf(error)}`, advice);
  } finally {
    server.close();
  }
}

/** Every topic that Lookout publishes to. */
function topicsOf({ loaded, resolved }: CheckContext): string[] {
  const { device, mqtt, cameras } = loaded.config;
  const published = Object.keys(cameras).map((name) => {
    const models = resolved?.cameras.get(name)?.models;
    return { name, labels: models ? Object.keys(labelsOf(models)) : [] };
  });
  const topics = new Topics(mqtt.base, device, published);
  return [
    topics.status,
    topics.info,
    topics.health,
    ...published.flatMap(({ name }) => [
      topics.cameraStatus(name),
      topics.event(name),
      topics.snapshot(name),
      ...SETTINGS.map((setting) => topics.setting(name, setting)),
      ...topics.labels(name),
    ]),
    ...(mqtt.discovery ? [discoveryTopic(mqtt.discovery, mqtt.base, device)] : []),
  ];
}

/** Connects when it has to: some brokers end the connection at a message that they reject. */
class Attempt {
  readonly #config: Config;
  readonly #limits = new BrokerLimits();
  #session: Session | null = null;
  /** The last payload received, by topic. */
  readonly #states = new Map<string, Buffer>();
  /** Topics on which a published message has arrived. */
  readonly #echoed = new Set<string>();

  constructor(config: Config) {
    this.#config = config;
  }

  /** @throws LookoutError MQTT_* that says why the broker does not accept the connection */
  async connect(): Promise<Session> {
    if (this.#session) return this.#session;
    const { mqtt, device } = this.#config;
    const up = Promise.withResolvers<null>();
    const clientId = `${mqtt.client_id ?? deviceId(mqtt.base, device)}-doctor`;
    const session = new Session(
      { ...(await brokerTarget(mqtt)), clientId, connectTimeout: TIMEOUT_MS },
      { up: () => up.resolve(null), message: (...message) => this.#onMessage(...message) },
      this.#limits,
    );
    const over = session.ended.then((end) => {
      this.#session = null;
      return end;
    });
    const end = await Promise.race([up.promise, over]);
    if (end) throw explain(publicAddress(new URL(mqtt.url)), end, { clientId, brief: 0 });
    this.#session = session;
    return session;
  }

  close(): void {
    this.#session?.abort();
  }

  /** One warning for each limit that the broker announces. */
  limits(): Finding[] {
    const { retains, qos, largest } = this.#limits;
    const advice = 'See docs/mqtt.md, “What a broker must be able to do”.';
    return [
      ...(retains
        ? []
        : [warn('broker', 'does not retain messages: states are published only when they change', advice)]),
      ...(qos === 1
        ? []
        : [warn('broker', 'accepts only QoS 0: clients that are offline miss events', advice)]),
      ...(largest < SMALL_BYTES
        ? [warn('broker', `accepts at most ${largest} bytes per message: snapshots are made smaller`, advice)]
        : []),
    ];
  }

  /** Publishes on each topic and, with MQTT 3.1.1, waits for the messages to arrive. */
  async publish(topics: readonly string[]): Promise<Finding> {
    const refused: string[] = [];
    for (const topic of topics) {
      const why = await this.#tryTopic(topic, topics);
      if (why !== null) refused.push(`${topic} (${why})`);
    }
    if (refused.length > 0) {
      return fail('broker', `rejects messages on ${refused.join(', ')}`, RULES);
    }
    const text = `accepts messages on ${topics.length} topics`;
    if (this.#config.mqtt.version === 5) return ok('broker', text);
    // In MQTT 3.1.1 a broker cannot reject a message: only a message that arrives was certainly accepted.
    const notEchoed = () => topics.filter((topic) => !this.#echoed.has(topic));
    await waitFor(() => notEchoed().length === 0);
    const missing = notEchoed();
    if (missing.length === 0) return ok('broker', text);
    return warn(
      'broker',
      `messages on ${missing.length} of ${topics.length} topics did not arrive, for example on ${missing[0]}; MQTT 3.1.1 does not report whether the broker accepted them`,
      'Set `mqtt.version: 5`, or allow this device to read its own topics.',
    );
  }

  /** Whether commands arrive, tried with one for a camera that does not exist. */
  async command(): Promise<Finding> {
    const { mqtt, device } = this.#config;
    const { commands, command } = commandsOf(mqtt.base, device);
    const session = await this.connect();
    if (!(await session.subscribe(commands))) {
      return fail('broker', `rejects the subscription to ${commands}`, RULES);
    }
    try {
      await session.publish({ topic: command, payload: 'test', qos: 1, retain: false });
    } catch {
      return ok(
        'broker',
        `accepts the subscription to ${commands}; this device may not send a command to test it`,
      );
    }
    if (await waitFor(() => this.#echoed.has(command))) {
      return ok('broker', `delivers commands on ${commands}`);
    }
    return warn('broker', `a command sent to ${command} did not arrive`, RULES);
  }

  /** Publishes the state of a topic again, or a test message. Returns why the broker rejects it, or null. */
  async #tryTopic(topic: string, topics: readonly string[]): Promise<string | null> {
    const fresh = this.#session === null;
    const session = await this.connect();
    if (fresh || topic === topics[0]) {
      await Promise.all(topics.map((one) => session.subscribe(one)));
      // When this second subscription is acknowledged, the retained states have arrived.
      await session.subscribe(topic);
    }
    const payload = topic.endsWith('/event') ? '{"type":"test"}' : (this.#states.get(topic) ?? '');
    let why: string | null = null;
    await session.publish({ topic, payload, qos: 1, retain: false }).catch((error: unknown) => {
      why = messageOf(error);
    });
    // Some brokers acknowledge a message that they reject, and then end the connection.
    await session.subscribe(topic);
    return why ?? (this.#session === null ? 'it ended the connection' : null);
  }

  #onMessage(topic: string, payload: Buffer, retained: boolean): void {
    this.#states.set(topic, payload);
    if (!retained) this.#echoed.add(topic);
  }
}

/** The topic filter of commands, and the topic of a command without effect. */
function commandsOf(base: string, device: string): { commands: string; command: string } {
  const topics = new Topics(base, device, []);
  return { commands: topics.commands, command: topics.command('doctor-test', 'snapshot') };
}

/** How long the certificate of the broker is valid. The connection reports everything else that is wrong with it. */
async function certificate(mqtt: Config['mqtt']): Promise<Finding[]> {
  const { hostname, port, protocol } = new URL(mqtt.url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connectTls({
    host,
    port: Number(port) || (protocol === 'wss:' ? 443 : 8883),
    rejectUnauthorized: false,
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
      socket.setTimeout(TIMEOUT_MS, () => reject(new Error('no answer')));
    });
    const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS);
    const text = `the certificate of the broker ${days < 0 ? 'has expired' : `expires in ${days} days`}`;
    if (days < RENEW_DAYS) return [warn('broker', text, 'Renew the certificate of the broker.')];
    return [ok('broker', text)];
  } catch {
    return [];
  } finally {
    socket.destroy();
  }
}

/** Waits for a condition; returns whether it became true in time. */
async function waitFor(condition: () => boolean, ms = ECHO_MS): Promise<boolean> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  return condition();
}
