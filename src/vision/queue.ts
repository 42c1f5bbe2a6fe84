/**
 * Who works on which slot, in memory that the vision worker shares with the sessions of one model:
 *
 *   vision ── put ─▶ ready slots, oldest first ── take ─▶ whichever session is free ── answer ─▶ vision
 *
 * Threads that are awake find their work here by themselves. Only a thread that sleeps in its event loop must be woken
 * by a message: waking a thread costs several times as much as all the rest of a hand-over.
 */

const NONE = -1;
/** Places of single numbers; the lists come after them. */
const HEAD = 0;
const TAIL = 1;
const VISION = 2;
const LISTS = 3;

/** What the vision worker does. */
const ASLEEP = 0;
const AWAKE = 1;
/** It sleeps, and a message is on its way. */
const CALLED = 2;

export class SlotQueue {
  readonly #state: Int32Array;
  /** Slots that are ready: a ring from HEAD to TAIL, which count up. */
  readonly #ready: Int32Array;
  /** By slot: 1 when the model has answered. */
  readonly #answers: Int32Array;
  /** By session: 1 when it sleeps. */
  readonly #asleep: Int32Array;

  /** Numbers that the queue needs in shared memory. */
  static length(slots: number, sessions: number): number {
    return LISTS + ringLength(slots) + slots + sessions;
  }

  /** @param state `length` numbers, 0 at first */
  constructor(state: Int32Array, slots: number) {
    this.#state = state;
    const answers = LISTS + ringLength(slots);
    this.#ready = state.subarray(LISTS, answers);
    this.#answers = state.subarray(answers, answers + slots);
    this.#asleep = state.subarray(answers + slots);
  }

  /** Vision: adds a slot whose input is ready. @returns the session to be woken for it; -1 when none sleeps */
  put(slot: number): number {
    const tail = Atomics.load(this.#state, TAIL);
    Atomics.store(this.#ready, tail & (this.#ready.length - 1), slot);
    Atomics.store(this.#state, TAIL, (tail + 1) | 0);
    for (let session = 0; session < this.#asleep.length; session++) {
      if (Atomics.compareExchange(this.#asleep, session, 1, 0) === 1) return session;
    }
    return NONE;
  }

  /** Session: takes the slot that has been ready for longest; -1 when there is none. */
  take(): number {
    for (;;) {
      const head = Atomics.load(this.#state, HEAD);
      if (head === Atomics.load(this.#state, TAIL)) return NONE;
      const slot = Atomics.load(this.#ready, head & (this.#ready.length - 1));
      if (Atomics.compareExchange(this.#state, HEAD, head, (head + 1) | 0) === head) return slot;
    }
  }

  /** Session: says that it sleeps. @returns whether it may: otherwise there is a slot to take */
  sleep(session: number): boolean {
    Atomics.store(this.#asleep, session, 1);
    if (Atomics.load(this.#state, HEAD) === Atomics.load(this.#state, TAIL)) return true;
    // If somebody else has cleared it, a message comes, too, which finds nothing to do.
    Atomics.store(this.#asleep, session, 0);
    return false;
  }

  /** Session: gives a slot back. @returns whether the vision worker must be woken */
  answer(slot: number): boolean {
    Atomics.store(this.#answers, slot, 1);
    return Atomics.compareExchange(this.#state, VISION, ASLEEP, CALLED) === ASLEEP;
  }

  /** Vision: takes a slot that was answered; -1 when there is none. */
  nextAnswer(): number {
    for (let slot = 0; slot < this.#answers.length; slot++) {
      if (Atomics.compareExchange(this.#answers, slot, 1, 0) === 1) return slot;
    }
    return NONE;
  }

  /** Vision: is awake, and looks for answers before it sleeps. */
  visionWakes(): void {
    Atomics.store(this.#state, VISION, AWAKE);
  }

  /** Vision: sleeps as soon as it has looked for answers once more. */
  visionSleeps(): void {
    Atomics.store(this.#state, VISION, ASLEEP);
  }
}

/** A power of two, so that counters may overflow. */
function ringLength(slots: number): number {
  return 2 ** Math.ceil(Math.log2(slots));
}
