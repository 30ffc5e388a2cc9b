import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSignalbox } from "../support/spawn-gateway.ts";

/** Prints the name of every module that is loaded. */
const teller = `import { registerHooks } from "node:module";
registerHooks({ load(url, context, next) { process.stdout.write("LOADED " + url + "\\n"); return next(url, context); } });`;

// Not @opentelemetry/api: prom-client has use for it.
const tracing = [
  "@opentelemetry/sdk-trace/",
  "@opentelemetry/exporter-trace-otlp-http/",
  "/src/tracing/tracing.ts",
];
const sentry = ["/src/log/sentry.ts"];

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-loaded-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Which of the modules a gateway with this configuration has loaded when it listens. */
async function loaded(config: object): Promise<string[]> {
  const path = join(directory, `${crypto.randomUUID()}.yaml`);
  const yaml = { http: { port: 0 }, admin: { enabled: false }, store: { url: "memory:" }, ...config };
  await writeFile(
    path,
    JSON.stringify({
      delivery: { drain_delay: 0 },
      ...yaml,
      apps: { "com.example.up": { type: "unifiedpush" } },
    }),
    { mode: 0o600 },
  );
  const gateway = spawnSignalbox(["serve", "--config", path], {
    cwd: directory,
    env: { NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(teller).toString("base64")}` },
  });
  await gateway.printed('"message":"listening"');
  gateway.child.kill("SIGTERM");
  expect(await gateway.ended()).toBe(0);
  const modules = gateway.stdout();
  expect(modules).toContain("/src/gateway.ts");
  return [...tracing, ...sentry].filter((name) => modules.includes(name));
}

it("loads neither OpenTelemetry nor the reporter to Sentry unless they are on", async () => {
  expect(await loaded({})).toEqual([]);
  // Configured and off, as in Sygnal's sample.
  expect(
    await loaded({
      metrics: {
        opentracing: { enabled: false, implementation: "jaeger", service_name: "sygnal" },
        sentry: { enabled: false, dsn: "https://key@sentry.example/1" },
      },
    }),
  ).toEqual([]);
});

it.each([
  ["tracing", { tracing: { endpoint: "http://127.0.0.1:9" } }, tracing],
  ["metrics.opentracing", { metrics: { opentracing: { enabled: true, implementation: "jaeger" } } }, tracing],
  ["metrics.sentry", { metrics: { sentry: { enabled: true, dsn: "http://key@127.0.0.1:9/1" } } }, sentry],
])("loads what %s needs, and nothing else of them", async (_section, config, expected) => {
  expect(await loaded(config)).toEqual(expected);
});
