import type { Static } from "@sinclair/typebox";
import { DeliveryConfig, LimitsConfig, OutboxConfig, RejectionsConfig } from "../core/config.ts";
import type { PushkinType } from "../core/pushkin.ts";
import { checkFcmApp, checkRegistry, RegistryConfig } from "../doors/device-registry/config.ts";
import { checkEvents } from "../doors/events/config.ts";
import { checkSoftphone, SoftphoneConfig } from "../doors/softphone/config.ts";
import { MatrixConfig } from "../doors/matrix/config.ts";
import { ExplainConfig } from "../explain/config.ts";
import { AdminConfig, checkAdmin, checkHttp, HttpConfig } from "../http/config.ts";
import { Type } from "../json-schema.ts";
import { LogConfig } from "../log-config.ts";
import { checkMetrics, MetricsConfig, TracingConfig } from "../metrics/config.ts";
import { checkStore, StoreConfig } from "../store/config.ts";
import { OutboundConfig, ProxyConfig, UpstreamConfig } from "../upstream/config.ts";
import type { Finding } from "./problem.ts";

/**
 * The whole file but `apps`, whose entries are validated by their types' schemas. A section is one line here; unknown
 * keys beside them warn, as in Sygnal.
 */
export const RootConfig = Type.Object(
  {
    http: HttpConfig,
    admin: AdminConfig,
    log: LogConfig,
    metrics: MetricsConfig,
    tracing: TracingConfig,
    proxy: ProxyConfig,
    store: StoreConfig,
    delivery: DeliveryConfig,
    rejections: RejectionsConfig,
    limits: LimitsConfig,
    outbox: OutboxConfig,
    outbound: OutboundConfig,
    upstream: UpstreamConfig,
    explain: ExplainConfig,
    matrix: MatrixConfig,
    registry: Type.Optional(RegistryConfig),
    softphone: Type.Optional(SoftphoneConfig),
    workers: Type.Unsafe<number | "auto">({
      reads: "workers",
      default: 1,
      description:
        "Threads that serve requests, on the same port and store; auto = as many as cores. Not with store.url memory:.",
    }),
    strict_permissions: Type.Boolean({
      default: false,
      description: "Refuse to start when others can read this file or a key; false: warn.",
    }),
  },
  { unknown_keys: "warn", also_known: "apps" },
);

/** One entry of `apps`. */
export interface AppConfig {
  readonly type: PushkinType;
  /** Validated by `type.config` and with its defaults. */
  readonly options: Static<PushkinType["config"]>;
}

/** Everything but `apps`, as the file has it with defaults; durations in milliseconds. */
export type Settings = Static<typeof RootConfig>;

/** The configuration: frozen, validated, complete. The keys are the file's own; durations are milliseconds. */
export type Config = DeepReadonly<Settings> & {
  /** In file order, at least one. */
  readonly apps: ReadonlyMap<string, AppConfig>;
};

/** Nothing in it can be assigned. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** What no section's schema can say, each with the sections it looks at: it runs when these are valid. */
export const crossChecks: readonly {
  readonly sections: readonly (keyof Settings)[];
  check(settings: Settings): readonly Finding[] | Promise<readonly Finding[]>;
}[] = [
  {
    sections: ["softphone"],
    check: ({ softphone }) => (softphone === undefined ? [] : checkSoftphone(softphone)),
  },
  {
    sections: ["registry"],
    check: ({ registry }) => (registry === undefined ? [] : checkEvents(registry.events)),
  },
  { sections: ["http"], check: ({ http }) => checkHttp(http) },
  { sections: ["admin"], check: ({ admin }) => checkAdmin(admin) },
  { sections: ["store"], check: ({ store }) => checkStore(store) },
  { sections: ["metrics"], check: ({ metrics }) => checkMetrics(metrics) },
  {
    sections: ["registry", "http"],
    check: ({ registry, http }) =>
      registry === undefined ? [] : checkRegistry(registry, http.trusted_proxies),
  },
  {
    // Two threads would not know of each other's duplicates and rejections.
    sections: ["workers", "store"],
    check({ store, workers }) {
      if (workers === "auto" || workers === 1 || store.url !== "memory:") return [];
      const message = "more than 1 needs a store that threads can share: sqlite or postgresql, not memory:";
      return [{ path: ["workers"], message }];
    },
  },
  {
    // Nothing can be promised without a store that survives (design, Settled points).
    sections: ["delivery", "store"],
    check({ delivery, store }) {
      if (delivery.answer_within > 0 || store.url !== "memory:") return [];
      const message =
        "0 needs a store that survives a restart: with store.url memory: nothing can be promised";
      return [{ path: ["delivery", "answer_within"], message }];
    },
  },
];

/** What sections say of `apps`: it runs when all of the file is valid. */
export function checkWithApps(settings: Settings, apps: Config["apps"]): readonly Finding[] {
  return settings.registry === undefined ? [] : checkFcmApp(settings.registry, apps);
}
