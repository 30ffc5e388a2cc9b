import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { metricNames, type MetricDefinition } from "../../src/metrics/names.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { seriesIn, sygnalQueries } from "../support/sygnal-queries.ts";

const read = (path: string): string => readFileSync(new URL(`../../config/${path}`, import.meta.url), "utf8");

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}
const dashboard = JSON.parse(read("grafana/signalbox.json")) as Dashboard;
const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets);
const alerts = parse(read("prometheus/alerts.yaml")) as {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
};
const rules = alerts.groups.flatMap((group) => group.rules);

/** What a scrape of a gateway holds that has sent to every upstream: sample name to its labels. */
async function scrapedLabels(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const metrics = createMetrics({
    apps: [{ name: "ios" }],
    clock: createFakeClock(),
    version: "1",
    rememberedRejections: async () => new Map([["ios", 1]]),
    outboxCounts: async () =>
      new Map([
        ["ios", { accepted: 1, handed: 0, rejected: 0, expired: 0, dropped: 0, pending: 1, pendingBytes: 9 }],
      ]),
    oldestReceivedAtMs: async () => undefined,
    logLinesDropped: () => 0,
    appStates: () => [
      { app: "ios", pushkin: "apns", waiting: 0, openCircuits: 0, connections: { open: 1, streams: 1 } },
    ],
  });
  const answer = { status: 200 };
  for (const pushkin of ["apns", "gcm", "webpush"]) {
    const facts = { id: "1", priority: "high", urgency: "badge", receivedAtMs: 0, expiresAtMs: 1 } as const;
    metrics.observer.attemptEnded({
      app: "ios",
      pushkin,
      upstream: "host",
      isUsersChoice: false,
      facts,
      attempt: 1,
      outcome: { kind: "delivered", answer },
      durationMs: 1,
      queueMs: 1,
    });
    const outcome = { kind: "delivered", answer } as const;
    metrics.observer.concluded({ app: "ios", pushkin, facts, device: "", outcome, attempts: 1 });
  }
  metrics.observer.settled({
    app: "ios",
    push: {
      id: "1",
      appId: "ios",
      pushkey: "p",
      content: { kind: "matrix", form: "counts", data: {}, defaultPayload: {} },
      priority: "high",
      urgency: "badge",
      receivedAtMs: 0,
      expiresAtMs: 1,
    },
    device: "",
    settled: { kind: "delivered" },
    durationMs: 1,
    attempts: 1,
  });
  metrics.observer.alarm({ app: "ios", alarm: "credentials", message: "" });
  metrics.httpObserver.answered({
    door: "matrix",
    requestId: "",
    trace: {},
    status: 200,
    dispatched: true,
    durationMs: 1,
  });
  metrics.certificatesInUse([{ app: "ios", expiresAtMs: 1 }]);
  metrics.storeCommitted(0.001);
  const found = new Map<string, Set<string>>();
  for (const line of (await metrics.registry.metrics()).split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (match?.[1] === undefined) continue;
    const labels = found.get(match[1]) ?? new Set<string>();
    for (const [, label] of (match[2] ?? "").matchAll(/(\w+)="/g)) if (label !== undefined) labels.add(label);
    found.set(match[1], labels);
  }
  metrics.close();
  return found;
}

/** What Prometheus itself adds. */
const addedLabels = new Set(["job", "instance"]);
let scraped: ReadonlyMap<string, ReadonlySet<string>>;
beforeAll(async () => {
  scraped = await scrapedLabels();
});

function expectSeries(expr: string): void {
  const series = seriesIn(expr);
  // `up` is Prometheus's own.
  expect(series.length > 0 || /^up\b/.test(expr)).toBe(true);
  for (const { name, labels } of series) {
    expect([expr, name, scraped.has(name)]).toEqual([expr, name, true]);
    const missing = labels.filter(
      (label) => !addedLabels.has(label) && scraped.get(name)?.has(label) !== true,
    );
    expect([expr, missing]).toEqual([expr, []]);
  }
}

describe("a query that is checked", () => {
  it("fails for a series or a label that is not there", () => {
    expect(() => expectSeries("rate(signalbox_outcome_total[5m])")).toThrow();
    expect(() => expectSeries('signalbox_outcomes_total{application="x"}')).toThrow();
    expect(() => expectSeries("sum by (reasons) (signalbox_outcomes_total)")).toThrow();
    expect(() => expectSeries("time()")).toThrow();
  });
});

it.each(sygnalQueries)("Sygnal's dashboard finds %s", (expr) => expectSeries(expr));

describe("config/grafana/signalbox.json", () => {
  it("has panels with titles and numbers of their own", () => {
    expect(dashboard.panels.filter(({ type }) => type !== "row").length).toBeGreaterThan(20);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(new Set(dashboard.panels.map(({ title }) => title)).size).toBe(dashboard.panels.length);
  });

  it.each(expressions.map(({ expr, legendFormat }) => [expr, legendFormat] as const))(
    "finds %s",
    (expr, legendFormat) => {
      expectSeries(expr);
      // A legend names labels that the query keeps.
      const kept = new Set(
        [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/, */)),
      );
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
      expect(named.filter((label) => !kept.has(label) && !addedLabels.has(label))).toEqual([]);
    },
  );

  it("shows most of what is measured", () => {
    const shown = expressions.flatMap(({ expr }) => seriesIn(expr)).map(({ name }) => name);
    const ours: readonly MetricDefinition[] = Object.values(metricNames);
    const left = ours
      .map(({ name }) => name)
      .filter((name) => name.startsWith("signalbox_") && !shown.some((one) => one.startsWith(name)));
    expect(left).toEqual([
      "signalbox_registered_devices",
      "signalbox_outbox_pending_bytes",
      "signalbox_door_answers_total",
      "signalbox_unreadable_requests_total",
      "signalbox_threads",
      "signalbox_log_lines_dropped_total",
    ]);
  });
});

describe("config/prometheus/alerts.yaml", () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))("%s finds its series", (_name, rule) => {
    expectSeries(rule.expr);
    expect(["page", "ticket"]).toContain(rule.labels["severity"]);
    expect(rule.annotations["summary"]).toMatch(/\S/);
    expect(rule.annotations["action"]).toMatch(/\.$/);
  });

  const promtool = (args: readonly string[]) => spawnSync("promtool", args, { encoding: "utf8" });
  const hasPromtool = promtool(["--version"]).error === undefined;

  (hasPromtool ? it : it.skip)("passes promtool, and so do the dashboard's queries", () => {
    const directory = mkdtempSync(join(tmpdir(), "signalbox-promtool-"));
    try {
      const file = join(directory, "rules.yaml");
      const rule = (expr: string, i: number) => ({
        record: `panel:${i}`,
        expr: expr.replaceAll("$__rate_interval", "5m"),
      });
      const groups = [
        ...alerts.groups,
        { name: "panels", rules: [...expressions.map(({ expr }) => expr), ...sygnalQueries].map(rule) },
      ];
      writeFileSync(file, stringify({ groups }));
      const checked = promtool(["check", "rules", file]);
      expect(checked.stderr).toBe("");
      expect(checked.status).toBe(0);
      writeFileSync(file, stringify({ groups: [{ name: "wrong", rules: [rule("sum(", 1)] }] }));
      expect(promtool(["check", "rules", file]).status).not.toBe(0);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
