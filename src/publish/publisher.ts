/**
 * Publishes events and state to the broker, and receives commands:
 *
 *   event change → eventMessages → (store: outbox) ──────┐
 *                                            OutboxDrain ├→ Connection → Session → broker
 *   status, labels, settings, snapshots → RetainedState ─┘        └→ commands → onCommand
 */
import type { Logger } from 'pino';
import type { HealthSample } from '../board/health.ts';
import type { ThermalState } from '../board/thermal.ts';
import type { MqttConfig } from '../config/schema.ts';
import { smallerJpeg } from '../pixels/smaller-jpeg.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Store } from '../store/store.ts';
import type { OutboxMessage } from '../store/store-types.ts';
import type { CameraStatus, EventChange, Service } from '../types.ts';
import { Connection, type Target } from './broker-connection.ts';
import { addressTarget, brokerTarget, embeddedAddress } from './broker-target.ts';
import { CommandIntake } from './command-intake.ts';
import type { Command, SettingState } from './commands.ts';
import { isEncrypted, readCredentials } from './credentials.ts';
import { type DeviceDiscovery, describeDevice, discoveryTopic } from './discovery.ts';
import type { EmbeddedBroker } from './embedded-broker.ts';
import { type Outbox, OutboxDrain } from './outbox.ts';
import { type DeviceInfo, eventPayload, healthPayload, statePayload, thermalPayload } from './payloads.ts';
import { RetainedState } from './retained-state.ts';
import { StaleTopics } from './stale-topics.ts';
import { deviceId } from './topic-names.ts';
import { type PublishedCamera, Topics } from './topics.ts';

export interface PublisherOptions {
  config: MqttConfig;
  /** Name of this device in topics. */
  device: string;
  cameras: readonly PublishedCamera[];
  /** When to connect first; undefined: immediately. */
  begin?: Promise<unknown>;
  /** Names of the models that the cameras may use. */
  models: readonly string[];
  outbox: Outbox;
  store: Pick<Store, 'announced' | 'announce'>;
  clock: Clock;
  log: Logger;
  /** 0…1, for the jitter of the backoff. */
  random: () => number;
  /** Applies a valid command; `confirm` publishes its state afterwards. If it throws, the command is refused. */
  onCommand: (command: Command) => void;
}

export interface PublisherStats {
  connected: boolean;
  /** Connections since the start. */
  connections: number;
  /** Events that the broker has acknowledged, and how many of them were recorded before the connection. */
  published: number;
  replayed: number;
  /** Refused commands. */
  refused: number;
}

/** Milliseconds that stop() allows for pending messages, and for each of the two steps of closing. */
const DRAIN = 1000;
const GOODBYE = 150;

const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;

/** With `mqtt.enabled: false` it does nothing: no messages, no connection. */
export class Publisher implements Service {
  readonly #options: PublisherOptions;
  readonly #topics: Topics;
  #cameras: readonly PublishedCamera[];
  #models: readonly string[];
  readonly #discovery: string | null;
  /** The entities published last to Home Assistant. */
  #components: DeviceDiscovery['components'] = {};
  readonly #state: RetainedState;
  readonly #drain: OutboxDrain;
  #broker: EmbeddedBroker | null = null;
  #connection: Connection | null = null;
  #address = '';
  #info: DeviceInfo | null = null;
  readonly #intake: CommandIntake;
  readonly #staleTopics: StaleTopics;

  constructor(options: PublisherOptions) {
    const { config, device, cameras, outbox, clock, log } = options;
    this.#options = options;
    this.#topics = new Topics(config.base, device, cameras);
    this.#cameras = cameras;
    this.#models = options.models;
    this.#discovery = config.discovery ? discoveryTopic(config.discovery, config.base, device) : null;
    const send = (message: Parameters<Connection['publish']>[0]) =>
      this.#connection?.publish(message) ?? Promise.reject(new Error('no connection to the broker'));
    this.#state = new RetainedState(send, log, (message) => {
      if (message.retain && this.#connection?.limits.retains) this.#staleTopics.accepted(message);
    });
    const excess: Connection['excess'] = (message) => this.#connection?.excess(message) ?? null;
    this.#drain = new OutboxDrain(outbox, { publish: send, excess }, clock, log);
    this.#intake = new CommandIntake({
      topics: this.#topics,
      clock,
      log,
      onCommand: options.onCommand,
      known: () => ({ cameras: new Set(this.#cameras.map(({ name }) => name)), models: this.#models }),
    });
    this.#staleTopics = new StaleTopics({
      topics: this.#topics,
      store: options.store,
      log,
      discovery:
        this.#discovery === null ? null : { topic: this.#discovery, id: deviceId(config.base, device) },
      onEntities: (known) => {
        this.#components = { ...known, ...this.#components };
        this.#describe();
      },
    });
    this.#retain(this.#topics.status, 'online');
    for (const { name, labels } of cameras) {
      this.setCameraStatus(name, 'offline');
      for (const label of labels) this.setLabel(name, label, false);
    }
    this.#describe();
  }

  /** The broker URL, such as `mqtt://127.0.0.1:1883`, once started; empty if MQTT is off. */
  get address(): string {
    return this.#address;
  }

  /** First levels of every topic of this device, such as `lookout/garden`. */
  get topic(): string {
    return this.#topics.device;
  }

  get stats(): PublisherStats {
    return {
      connected: this.#connection?.up ?? false,
      connections: this.#connection?.count ?? 0,
      ...this.#drain.counters,
      refused: this.#intake.refused,
    };
  }

  /**
   * Starts connecting; does not wait for the broker.
   * @throws LookoutError MQTT_CREDENTIALS_UNREADABLE, MQTT_CREDENTIALS_INVALID, MQTT_PORT_IN_USE, MQTT_LISTEN_FAILED
   */
  async start(): Promise<void> {
    const { config, clock, log, random } = this.#options;
    if (!config.enabled) return;
    const { password } = await readCredentials(config);
    if (config.url === 'embedded') {
      // Loaded only here, to save its memory where another broker is used.
      const { EmbeddedBroker } = await import('./embedded-broker.ts');
      this.#broker = new EmbeddedBroker({ host: config.embedded_host, port: config.embedded_port, log });
      await this.#broker.start();
      this.#address = embeddedAddress(config.embedded_host, this.#broker.port);
    } else {
      const { protocol, host, hostname } = new URL(config.url);
      this.#address = `${protocol}//${host}`;
      if (password !== undefined && !isEncrypted(config.url) && !LOOPBACK.test(hostname))
        log.warn('the MQTT password is sent unencrypted: use mqtts:// outside of a network you trust');
      if (!config.verify && isEncrypted(config.url))
        log.warn('mqtt.verify is false: man-in-the-middle attacks are possible');
    }
    // The embedded broker starts empty.
    if (!this.#broker) {
      for (const topic of await this.#staleTopics.load(this.#address)) this.#retain(topic, '');
    }
    this.#connection = new Connection({
      address: this.#address,
      target: () => this.#target(),
      clientId: config.client_id ?? deviceId(config.base, this.#options.device),
      will: { topic: this.#topics.status, payload: 'offline', qos: 1, retain: true },
      survey: this.#staleTopics.filters,
      filters: [
        { filter: this.#topics.commands, instead: () => this.#topics.eachCommand },
        ...(config.discovery ? [{ filter: `${config.discovery}/status` }] : []),
      ],
      keepalive: config.keepalive,
      begin: this.#options.begin,
      clock,
      log,
      random,
      onUp: () => {
        this.#state.connected();
        this.#drain.connected();
      },
      onDown: () => {
        this.#state.disconnected();
        this.#drain.disconnected();
      },
      onMessage: (topic, payload, retained) => this.#receive(topic, payload, retained),
    });
    this.#connection.start();
  }

  /** Publishes what is pending for at most 1 s, then `offline`; resolves within 1.5 s whatever the broker does. */
  async stop(): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    const { clock } = this.#options;
    const drained = async () => {
      await connection.attempted();
      await this.#drain.idle();
      await this.#state.idle();
    };
    await Promise.race([drained(), sleep(clock, DRAIN)]);
    if (connection.up) {
      this.#retain(this.#topics.status, 'offline');
      await Promise.race([this.#state.idle(), sleep(clock, GOODBYE)]);
    }
    await connection.stop(GOODBYE);
    this.#drain.report();
    await this.#staleTopics.stop();
    this.#intake.close();
    await this.#broker?.stop();
    this.#connection = null;
  }

  /** The messages for a step of an event, to be recorded in one transaction with it. */
  eventMessages(change: EventChange): OutboxMessage[] {
    if (!this.#options.config.enabled) return [];
    const topic = this.#topics.event(change.event.camera);
    const live = change.type === 'update';
    return [{ topic, payload: eventPayload(change), qos: 1, retain: false, live }];
  }

  /** Call after messages were recorded in the outbox. */
  wake(): void {
    this.#drain.wake();
  }

  setCameraStatus(camera: string, status: CameraStatus): void {
    this.#retain(this.#topics.cameraStatus(camera), status);
  }

  /** Sets whether a label is present on a camera, in any of its zones. Labels without events there are ignored. */
  setLabel(camera: string, label: string, on: boolean): void {
    const topic = this.#topics.label(camera, label);
    if (topic !== null) this.#retain(topic, statePayload(on));
  }

  setSetting({ camera, setting, value }: SettingState): void {
    this.#retain(this.#topics.setting(camera, setting), statePayload(value));
  }

  /** Publishes a setting even if its value stays the same. */
  confirm(state: SettingState): void {
    this.setSetting(state);
    this.#state.republish(this.#topics.setting(state.camera, state.setting));
  }

  /** Changes the labels of cameras and the models they may use; topics of removed labels are cleared. */
  setCameras(cameras: readonly PublishedCamera[], models: readonly string[]): void {
    this.#cameras = cameras;
    this.#models = models;
    for (const { name, labels } of cameras) {
      const before = this.#topics.labels(name);
      this.#topics.setLabels(name, labels);
      const now = new Set(this.#topics.labels(name));
      for (const topic of before) if (!now.has(topic)) this.#retain(topic, '');
    }
    this.#describe();
  }

  setInfo(info: DeviceInfo): void {
    this.#info = info;
    this.#retain(this.#topics.info, JSON.stringify(info));
    this.#describe();
  }

  publishHealth(sample: HealthSample): void {
    this.#state.set({ topic: this.#topics.health, payload: healthPayload(sample), qos: 0, retain: true });
  }

  setThermal(state: ThermalState): void {
    this.#retain(this.#topics.thermal, thermalPayload(state));
  }

  /** @param jpeg must not be changed afterwards */
  publishSnapshot(camera: string, jpeg: Uint8Array): void {
    const smaller = (bytes: number) => smallerJpeg(jpeg, bytes);
    this.#state.set({ topic: this.#topics.snapshot(camera), payload: jpeg, qos: 0, retain: true, smaller });
  }

  #retain(topic: string, payload: string): void {
    this.#state.set({ topic, payload, qos: 1, retain: true });
  }

  #describe(): void {
    if (this.#discovery === null) return;
    const { config, device } = this.#options;
    const discovery = describeDevice({
      base: config.base,
      device,
      cameras: this.#cameras,
      models: this.#models,
      topics: this.#topics,
      info: this.#info,
    });
    // Home Assistant removes an entity that has nothing but a platform.
    const { components } = discovery;
    for (const [key, { platform }] of Object.entries(this.#components)) components[key] ??= { platform };
    this.#components = components;
    this.#retain(this.#discovery, JSON.stringify(discovery));
  }

  async #target(): Promise<Target> {
    if (this.#broker) return { ...addressTarget(this.#address), protocolVersion: 4 };
    return await brokerTarget(this.#options.config);
  }

  #receive(topic: string, payload: Buffer, retained: boolean): void {
    if (topic === `${this.#options.config.discovery}/status`) {
      if (this.#discovery === null || payload.toString() !== 'online') return;
      if (this.#connection?.limits.retains) this.#state.republish(this.#discovery);
      else this.#state.republishAll();
      return;
    }
    if (retained && this.#staleTopics.receive(topic, payload)) return;
    this.#intake.receive(topic, payload, retained);
  }
}
