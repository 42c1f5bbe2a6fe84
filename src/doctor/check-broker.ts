/**
 * Whether the broker lets Lookout in, and lets it say and hear what it must. Everything is really tried, under a client
 * identifier of its own, so that a daemon that runs is not thrown out. States are said again as they lie on the broker;
 * the topic of events gets a message of type `test`.
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
/** How long a message may take to come back. */
const ECHO_MS = 2000;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;
/** A large picture with a little around it. */
const SMALL_BYTES = 200_000;

const RULES = 'Correct the access rules of the broker: docs/mqtt.md, “Secure the broker”, has an example.';

type Config = LoadedConfig['config'];

export const checkBroker: Check = async (patient) => {
  const { config } = patient.loaded;
  const { mqtt } = config;
  if (!mqtt.enabled) return [ok('broker', 'MQTT is off')];
  if (mqtt.url === 'embedded') return [await embedded(config, patient.running)];
  const findings: Finding[] = [];
  if (isEncrypted(mqtt.url)) {
    if (!mqtt.verify) {
      findings.push(
        warn(
          'broker',
          'mqtt.verify is off: anyone on the way can pretend to be the broker',
          'Set mqtt.ca_file.',
        ),
      );
    }
    findings.push(...(await certificate(mqtt)));
  } else if (mqtt.password_file && !/^\w+:\/\/(localhost|127\.|\[::1\])/.test(mqtt.url)) {
    findings.push(warn('broker', 'the password travels unencrypted', 'Use mqtts://: docs/mqtt.md, “TLS”.'));
  }
  const attempt = new Attempt(config);
  try {
    await attempt.connect();
    findings.push(
      ok('broker', `${publicAddress(new URL(mqtt.url))} takes the connection`),
      ...attempt.limits(),
    );
    findings.push(await attempt.publish(topicsOf(patient)), await attempt.command());
  } catch (error) {
    findings.push(failed('broker', error));
  } finally {
    attempt.close();
  }
  return findings;
};

async function embedded({ mqtt }: Config, running: boolean): Promise<Finding> {
  const { embedded_host: host, embedded_port: port } = mqtt;
  if (running) return ok('broker', `embedded, in the daemon that runs`);
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, resolve);
    });
    return ok('broker', `embedded, ${host} port ${port} is free`);
  } catch (error) {
    const advice = 'Use the broker that runs there (mqtt.url), or set mqtt.embedded_port to another port.';
    return fail('broker', `embedded, cannot listen: ${messageOf(error)}`, advice);
  } finally {
    server.close();
  }
}

/** Every topic that Lookout writes to. */
function topicsOf({ loaded, prepared }: CheckContext): string[] {
  const { device, mqtt, cameras } = loaded.config;
  const published = Object.keys(cameras).map((name) => {
    const models = prepared?.cameras.get(name)?.models;
    return { name, labels: models ? Object.keys(labelsOf(models)) : [] };
  });
  const topics = new Topics(mqtt.base, device, published);
  return [
    ...[topics.status, topics.info, topics.health],
    ...published.flatMap(({ name }) => [
      ...[topics.cameraStatus(name), topics.event(name), topics.snapshot(name)],
      ...SETTINGS.map((setting) => topics.setting(name, setting)),
      ...topics.labels(name),
    ]),
    ...(mqtt.discovery ? [discoveryTopic(mqtt.discovery, mqtt.base, device)] : []),
  ];
}

/** Connections on which everything is tried; some brokers end one at a message that they refuse. */
class Attempt {
  readonly #config: Config;
  readonly #terms = new BrokerLimits();
  #session: Session | null = null;
  /** What was heard last, by topic. */
  readonly #states = new Map<string, Buffer>();
  /** Topics of which a message has come back. */
  readonly #echoed = new Set<string>();

  constructor(config: Config) {
    this.#config = config;
  }

  /** @throws LookoutError MQTT_* that says why the broker does not take the connection */
  async connect(): Promise<Session> {
    if (this.#session) return this.#session;
    const { mqtt, device } = this.#config;
    const up = Promise.withResolvers<null>();
    const clientId = `${mqtt.client_id ?? deviceId(mqtt.base, device)}-doctor`;
    const session = new Session(
      { ...(await brokerTarget(mqtt)), clientId, connectTimeout: TIMEOUT_MS },
      { up: () => up.resolve(null), message: (...message) => this.#hear(...message) },
      this.#terms,
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

  /** What the broker says that it does not take. */
  limits(): Finding[] {
    const { retains, qos, largest } = this.#terms;
    const advice = 'See docs/mqtt.md, “What a broker must be able to do”.';
    return [
      ...(retains
        ? []
        : [warn('broker', 'keeps no retained messages: states are told when they change', advice)]),
      ...(qos === 1 ? [] : [warn('broker', 'takes QoS 0 only: who is away misses events', advice)]),
      ...(largest < SMALL_BYTES
        ? [warn('broker', `takes at most ${largest} bytes at once: pictures are made smaller for it`, advice)]
        : []),
    ];
  }

  /** Says something on each topic, and waits for it to come back where that is allowed. */
  async publish(topics: readonly string[]): Promise<Finding> {
    const refused: string[] = [];
    for (const topic of topics) {
      const why = await this.#say(topic, topics);
      if (why !== null) refused.push(`${topic} (${why})`);
    }
    if (refused.length > 0) {
      return fail('broker', `does not take messages on ${refused.join(', ')}`, RULES);
    }
    const text = `takes messages on ${topics.length} topics`;
    if (this.#config.mqtt.version === 5) return ok('broker', text);
    // MQTT 3.1.1 has no way to refuse a message: only what comes back has been taken for sure.
    const unheard = () => topics.filter((topic) => !this.#echoed.has(topic));
    await settle(() => unheard().length === 0);
    const missing = unheard();
    if (missing.length === 0) return ok('broker', text);
    const doubt = 'MQTT 3.1.1 does not tell whether they were taken';
    return warn(
      'broker',
      `${missing.length} of ${topics.length} topics did not come back, such as ${missing[0]}; ${doubt}`,
      'Set mqtt.version: 5, or let this device read its own topics, to be sure.',
    );
  }

  /** Whether commands arrive: one is sent to a camera that does not exist. */
  async command(): Promise<Finding> {
    const { mqtt, device } = this.#config;
    const { commands, command } = commandsOf(mqtt.base, device);
    const session = await this.connect();
    if (!(await session.subscribe(commands))) {
      return fail('broker', `does not let it listen to ${commands}`, RULES);
    }
    try {
      await session.publish({ topic: command, payload: 'test', qos: 1, retain: false });
    } catch {
      return ok('broker', `grants ${commands}; this device may send no command to try it`);
    }
    if (await settle(() => this.#echoed.has(command))) {
      return ok('broker', `lets commands through to ${commands}`);
    }
    return warn('broker', `a command sent to ${command} did not arrive`, RULES);
  }

  /** Says a topic's state again, or that this is a test. Returns why the broker refused it; null: it did not. */
  async #say(topic: string, topics: readonly string[]): Promise<string | null> {
    const fresh = this.#session === null;
    const session = await this.connect();
    if (fresh || topic === topics[0]) {
      await Promise.all(topics.map((one) => session.subscribe(one)));
      // After the answer to a second question has come, so have the states that lie on the broker.
      await session.subscribe(topic);
    }
    const payload = topic.endsWith('/event') ? '{"type":"test"}' : (this.#states.get(topic) ?? '');
    let why: string | null = null;
    await session.publish({ topic, payload, qos: 1, retain: false }).catch((error: unknown) => {
      why = messageOf(error);
    });
    // Some brokers acknowledge what they refuse, and hang up.
    await session.subscribe(topic);
    return why ?? (this.#session === null ? 'it ended the connection' : null);
  }

  #hear(topic: string, payload: Buffer, retained: boolean): void {
    this.#states.set(topic, payload);
    if (!retained) this.#echoed.add(topic);
  }
}

/** What commands are listened to with, and one that means nothing. */
function commandsOf(base: string, device: string): { commands: string; command: string } {
  const topics = new Topics(base, device, []);
  return { commands: topics.commands, command: topics.command('doctor-test', 'snapshot') };
}

/** How long the broker's certificate is valid. What else is wrong with it the connection says. */
async function certificate(mqtt: Config['mqtt']): Promise<Finding[]> {
  const { hostname, port, protocol } = new URL(mqtt.url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connectTls({
    ...{ host, port: Number(port) || (protocol === 'wss:' ? 443 : 8883), rejectUnauthorized: false },
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
      socket.setTimeout(TIMEOUT_MS, () => reject(new Error('nobody answers')));
    });
    const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS);
    const text = `its certificate is valid for ${days} more days`;
    if (days < RENEW_DAYS) return [warn('broker', text, 'Renew the certificate of the broker.')];
    return [ok('broker', text)];
  } catch {
    return [];
  } finally {
    socket.destroy();
  }
}

/** Waits for a condition; returns whether it came about. */
async function settle(condition: () => boolean, ms = ECHO_MS): Promise<boolean> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  return condition();
}
