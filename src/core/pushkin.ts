import type { Static, TObject } from "@sinclair/typebox";
import type { Cancellation } from "../cancellation.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Diagnosis } from "./diagnosis.ts";
import type { Dropped, Outcome, Rejected } from "./outcome.ts";
import type { Push, PushFacts } from "./push.ts";

/**
 * A push in the upstream's form, rendered once before the first attempt (D11): JSON, so that the outbox can keep it.
 * Credentials and what depends on the time of sending are not in it.
 */
export interface Message {
  /** The payload as sent, UTF-8 JSON. */
  readonly body: string;
  /** Where it goes, in the upstream's spelling (device token, registration token, endpoint). Secret. */
  readonly to: string;
  /** What else the pushkin decided at rendering. */
  readonly [field: string]: string | number | boolean | undefined;
}

/** What an attempt knows besides the message. */
export interface AttemptContext {
  readonly push: PushFacts;
  /** Aborts the attempt; what it would have answered is then unknown. */
  readonly signal: Cancellation;
}

/** An attempt's outcome and what metrics want to know about it. */
export interface Attempt {
  readonly outcome: Outcome;
  /** Milliseconds that the request waited for a connection or a free stream. */
  readonly queueMs?: number;
}

/** Our driver for one configured app. It neither counts, nor logs outcomes, nor touches the store. */
export interface Pushkin {
  /** The app's key in the configuration (the glob text for globs). */
  readonly name: string;
  /** `apns`, `gcm`, … as metrics and logs name it. */
  readonly type: string;
  /** Changes with the app's credentials, topic or environment and with nothing else (D8). Holds no secret. */
  readonly fingerprint: string;
  /** When its certificate ends, milliseconds since 1970; absent when it uses none. */
  readonly certificateExpiresAtMs?: number;
  /** Requests that wait for a connection or a free stream. */
  waiting(): number;
  /** Connections that stand, and requests under way on them; absent where connections are nobody's to count. */
  connections?(): { readonly open: number; readonly streams: number };
  /** Each of its pushes rings like a call (APNs push type voip). */
  readonly takesCalls?: true;
  /**
   * A token as apps and PBXs hand it around, usually in base64, as this upstream spells it: the pushkey of softphone
   * and event pushes. Undefined for what can never be one. Absent: such pushes are not sent by this type.
   */
  readToken?(text: string): string | undefined;
  /** Its messages go to hosts that users choose: one that is dead says nothing about the others. */
  readonly hasManyUpstreams?: true;
  /** The host that a message goes to: what circuits and budgets are kept by. */
  upstreamOf(message: Message): string;
  /** Content into the upstream's form, or why nothing will be sent. Pure; bounded by the content's size. */
  render(push: Push): Message | Rejected | Dropped;
  /**
   * One try. Never throws for what the network or the upstream did, never rejects on anything but a row of its
   * outcome table, ends when the signal aborts and in any case within 10 s.
   */
  attempt(message: Message, context: AttemptContext): Promise<Attempt>;
  /** Finishes what is under way (at most until the signal aborts) and frees every connection. */
  close(signal: AbortSignal): Promise<void>;
}

/** `outbound` of the configuration: which endpoints of users' may be reached. */
export interface Outbound {
  /** CIDRs that may be reached although they are not public. */
  readonly allow_addresses: readonly string[];
  readonly allow_ports: readonly number[];
  /** Plain http, to `allow_addresses` alone. */
  readonly allow_http: boolean;
}

/** What a pushkin may use. */
export interface PushkinDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Forward proxy for everything outgoing, `http://[user:password@]host[:port]`. */
  readonly proxy?: URL;
  /** Where endpoints that users supply may lead; absent = public https hosts alone. */
  readonly outbound?: Outbound;
  /** `upstream.http2`: who speaks HTTP/2. Default: the upstreams' own. */
  readonly http2Client?: "node" | "lean";
  /** `upstream.http2_to_push_services`: HTTP/2 towards push services too, where they speak it. */
  readonly http2ToPushServices?: boolean;
  /** How many threads have such a pushkin each, which share its bounds; absent = 1. */
  readonly threads?: number;
  /** What the pushkins of one gateway have in common, such as one provider token per key. */
  readonly shared: Shared;
}

/** Things made once per gateway, by name. */
export class Shared {
  readonly #things = new Map<string, unknown>();
  #inherited: ReadonlyMap<string, unknown>;

  /** @param former a reload's: what is asked for again is taken over from it, such as a provider token that Apple counts */
  constructor(former?: Shared) {
    this.#inherited = former === undefined ? new Map() : former.#things;
  }

  /** The thing of this name, made by the first who asks. A name always stands for one type. */
  get<Thing>(name: string, make: () => Thing): Thing {
    if (!this.#things.has(name)) {
      this.#things.set(name, this.#inherited.has(name) ? this.#inherited.get(name) : make());
    }
    return this.#things.get(name) as Thing;
  }

  /** Lets go of what was not asked for again. */
  forgetFormer(): void {
    this.#inherited = new Map();
  }
}

/** A type of pushkin: what `apps.<id>.type` selects. */
export interface PushkinType<Schema extends TObject = TObject> {
  /** The values of `type` that select it; the first is its name. */
  readonly types: readonly [string, ...string[]];
  readonly config: Schema;
  /**
   * What the schema cannot say: options that need each other, files that must hold a key.
   * Returns problems as `option: sentence`, none when all is well. Never prints what a file holds.
   */
  check(config: Static<Schema>): Promise<readonly string[]>;
  /** What works but surprises, in the same form; for a configuration that `check` found no fault with. */
  warnings?(config: Static<Schema>): readonly string[];
  /**
   * Looks, live, whether pushes of such an app would arrive: a line for each thing that is looked at, in the order in
   * which they depend on each other. Sends nothing that a user could see; ends within a minute; rejects only for what
   * `check` would have found. For `signalbox doctor`, never while pushes go out.
   */
  diagnose?(name: string, config: Static<Schema>, deps: PushkinDeps): Promise<readonly Diagnosis[]>;
  create(name: string, config: Static<Schema>, deps: PushkinDeps): Promise<Pushkin>;
}

/** Ties a type's schema to its `create`; the list is `pushkins/index.ts`. */
export function definePushkin<Schema extends TObject>(type: PushkinType<Schema>): PushkinType {
  // The list holds types of different schemas; each is only ever called with what its own schema has validated.
  return type;
}
