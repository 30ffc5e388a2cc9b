import type { Recorder } from "../../../src/simulator/recorder.ts";
import type { Phone } from "./phones.ts";

/** One push as it reached a phone. */
export interface Arrival {
  readonly atMs: number;
}

/** An event that phones are to hear of. */
export interface ExpectedEvent {
  readonly id: string;
  /** What it is, in a few words. */
  readonly label: string;
  readonly phones: readonly Phone[];
}

/** What should reach which phone, and what did. */
export class Journal {
  readonly #phones: readonly Phone[];
  readonly #expected = new Map<string, ExpectedEvent>();
  readonly #arrivals = new Map<string, Arrival[]>();
  readonly #badges = new Map<Phone, number>();
  readonly #problems = new Set<string>();
  readonly #stop: () => void;
  #foreign = 0;

  constructor(recorder: Recorder, phones: readonly Phone[]) {
    this.#phones = phones;
    this.#stop = recorder.listen((request) => {
      if (!request.accepted || request.upstream === "oauth") return;
      for (const phone of phones) {
        const seen = phone.see(request);
        if (seen === undefined) continue;
        for (const problem of seen.problems) this.#problems.add(`${phone.name}: ${problem}`);
        if (seen.unread !== undefined) this.#badges.set(phone, seen.unread);
        if (seen.eventId !== undefined) this.#arrived(phone, seen.eventId, request.atMs);
        return;
      }
      this.#foreign += 1;
    });
  }

  /** What apps would have missed in their pushes, and pushes that no phone knows. */
  get problems(): readonly string[] {
    const foreign = this.#foreign === 0 ? [] : [`${this.#foreign} pushes for nobody's phone`];
    return [...this.#problems, ...foreign, ...this.#unexpected()];
  }

  get events(): readonly ExpectedEvent[] {
    return [...this.#expected.values()];
  }

  label(eventId: string): string | undefined {
    return this.#expected.get(eventId)?.label;
  }

  expect(event: ExpectedEvent): void {
    this.#expected.set(event.id, event);
  }

  arrivals(phone: Phone, eventId: string): readonly Arrival[] {
    return this.#arrivals.get(key(phone, eventId)) ?? [];
  }

  badge(phone: Phone): number | undefined {
    return this.#badges.get(phone);
  }

  /** Expected and not there (yet), as `phone: event`. */
  outstanding(): readonly string[] {
    return this.events.flatMap(({ id, label, phones }) =>
      phones
        .filter((phone) => this.arrivals(phone, id).length === 0)
        .map((phone) => `${phone.name}: ${label}`),
    );
  }

  /** Waits until all that is expected has arrived, or the time is over: then `outstanding` says what is missing. */
  async settle(limitMs: number): Promise<void> {
    await until(() => this.outstanding().length === 0, limitMs);
  }

  /** Waits until the badge of each phone is this. */
  async badges(phones: readonly Phone[], unread: number, limitMs: number): Promise<void> {
    const wrong = (): readonly Phone[] => phones.filter((phone) => this.#badges.get(phone) !== unread);
    await until(() => wrong().length === 0, limitMs);
    for (const phone of wrong()) {
      this.#problems.add(`${phone.name}: badge ${this.#badges.get(phone) ?? "unknown"} instead of ${unread}`);
    }
  }

  close(): void {
    this.#stop();
  }

  #arrived(phone: Phone, eventId: string, atMs: number): void {
    const there = this.#arrivals.get(key(phone, eventId)) ?? [];
    there.push({ atMs });
    this.#arrivals.set(key(phone, eventId), there);
  }

  /** Pushes about events that this phone was not to hear of. */
  #unexpected(): readonly string[] {
    const wanted = new Set(this.events.flatMap(({ id, phones }) => phones.map((phone) => key(phone, id))));
    return this.#phones.flatMap((phone) =>
      [...this.#arrivals.keys()]
        .filter((each) => each.startsWith(`${phone.name}\0`) && !wanted.has(each))
        .map((each) => `${phone.name}: an event that it should not hear of, ${each.split("\0")[1] ?? ""}`),
    );
  }
}

const key = (phone: Phone, eventId: string): string => `${phone.name}\0${eventId}`;

/** Asks until it is so; false when the time is over. */
export async function until(isSo: () => boolean, limitMs: number): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  while (!isSo()) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
