/**
 * The queue of slots, in memory that the vision worker shares with the sessions of one model:
 *
 *   vision ── put ─▶ ready slots, oldest first ── take ─▶ any free session ── answer ─▶ vision
 *
 * Threads that are awake poll the queue. Only a thread that sleeps in its event loop must be woken by a message: waking
 * a thread costs several times as much as all other steps together.
 */

const NONE = -1;
/** Indices of single numbers; the lists follow them. */
const HEAD = 0;
const TAIL = 1;
const VISION = 2;
const LISTS = 3;

/** States of the vision worker. */
const ASLEEP = 0;
const AWAKE = 1;
/** It sleeps, and a message is in flight. */
const WAKING = 2;

export class SlotQueue {
  readonly #state: Int32Array;
  /** Ready slots: a ring from HEAD to TAIL, which only increase. */
  readonly #ready: Int32Array;
  /** By slot: 1 when the result is ready. */
  readonly #answers: Int32Array;
  /** By session: 1 when it sleeps. */
  readonly #asleep: Int32Array;

  /** Number of Int32 elements that the queue needs in shared memory. */
  static length(slots: number, sessions: number): number {
    return LISTS + ringLength(slots) + slots + sessions;
  }

  /** @param state `length` elements, initially 0 */
  constructor(state: Int32Array, slots: number) {
    this.#state = state;
    const answers = LISTS + ringLength(slots);
    this.#ready = state.subarray(LISTS, answers);
    this.#answers = state.subarray(answers, answers + slots);
    this.#asleep = state.subarray(answers + slots);
  }

  /** Vision: adds a slot whose input is ready. @returns the session to wake; -1 when none sleeps */
  put(slot: number): number {
    const tail = Atomics.load(this.#state, TAIL);
    Atomics.store(this.#ready, tail & (this.#ready.length - 1), slot);
    Atomics.store(this.#state, TAIL, (tail + 1) | 0);
    for (let session = 0; session < this.#asleep.length; session++) {
      if (Atomics.compareExchange(this.#asleep, session, 1, 0) === 1) return session;
    }
    return NONE;
  }

  /** Session: takes the slot that has been ready longest; -1 when none is ready. */
  take(): number {
    for (;;) {
      const head = Atomics.load(this.#state, HEAD);
      if (head === Atomics.load(this.#state, TAIL)) return NONE;
      const slot = Atomics.load(this.#ready, head & (this.#ready.length - 1));
      if (Atomics.compareExchange(this.#state, HEAD, head, (head + 1) | 0) === head) return slot;
    }
  }

  /** Session: registers as asleep. @returns whether it may sleep; false: a slot is ready */
  sleep(session: number): boolean {
    Atomics.store(this.#asleep, session, 1);
    if (Atomics.load(this.#state, HEAD) === Atomics.load(this.#state, TAIL)) return true;
    // If the vision worker has cleared it meanwhile, it also sends a message, which then finds nothing to do.
    Atomics.store(this.#asleep, session, 0);
    return false;
  }

  /** Session: returns a slot with its result. @returns whether the vision worker must be woken */
  answer(slot: number): boolean {
    Atomics.store(this.#answers, slot, 1);
    return Atomics.compareExchange(this.#state, VISION, ASLEEP, WAKING) === ASLEEP;
  }

  /** Vision: takes a slot with a result; -1 when there is none. */
  nextAnswer(): number {
    for (let slot = 0; slot < this.#answers.length; slot++) {
      if (Atomics.compareExchange(this.#answers, slot, 1, 0) === 1) return slot;
    }
    return NONE;
  }

  /** Vision: registers as awake; it polls for results before it sleeps. */
  visionWakes(): void {
    Atomics.store(this.#state, VISION, AWAKE);
  }

  /** Vision: registers as asleep; it must poll for results once more before it sleeps. */
  visionSleeps(): void {
    Atomics.store(this.#state, VISION, ASLEEP);
  }
}

/** A power of two, so that counters may overflow. */
function ringLength(slots: number): number {
  return 2 ** Math.ceil(Math.log2(slots));
}
