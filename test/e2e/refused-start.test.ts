import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { startSimulators, type Simulators } from "../../src/simulator/index.ts";
import { writeWorkspace } from "../../src/simulator/workspace.ts";
import { spawnSignalbox } from "../support/spawn-gateway.ts";

/*
 * Every way in which Sygnal fails to start (sygnal-compat 1.1), half of which it leaves with exit code 0 (G-43): here
 * 1, and a line that names what is wrong. A `log.setup` without version, which Sygnal refuses, is warned of.
 */
let directory: string;
let simulators: Simulators;
let taken: Server;
let good: Record<string, unknown>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-refused-"));
  simulators = await startSimulators();
  const files = await writeWorkspace(simulators, directory);
  good = {
    ...(parse(await readFile(files.config, "utf8")) as object),
    http: { port: 0 },
    admin: { enabled: false },
    store: { url: "memory:" },
  };
  taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
});
afterAll(async () => {
  taken.close();
  await simulators.stop();
  await rm(directory, { recursive: true, force: true });
});

const takenPort = (): number => (taken.address() as AddressInfo).port;
const change = (sections: object): string => stringify({ ...good, ...sections }, { version: "1.1" });

const cases: readonly (readonly [what: string, yaml: () => string | undefined, says: RegExp])[] = [
  ["there is no file", () => undefined, /0\.yaml.*(?:no such file|not found|does not exist)/i],
  ["the YAML is broken", () => "apps: {a: [}", /1\.yaml:1/],
  ["the top level is a list", () => "- apps", /2\.yaml.*mapping/],
  ["the file is empty", () => "", /3\.yaml: apps: no app/],
  [
    "the metrics port is in use",
    () => change({ metrics: { prometheus: { enabled: true, port: takenPort() } } }),
    /metrics\.prometheus.*in use/,
  ],
  ["Sentry has no dsn", () => change({ metrics: { sentry: { enabled: true } } }), /metrics\.sentry\.dsn/],
  [
    "tracing has an unknown implementation",
    () => change({ metrics: { opentracing: { enabled: true, implementation: "zipkin" } } }),
    /metrics\.opentracing\.implementation/,
  ],
  [
    "an app cannot be built",
    () => change({ apps: { "com.x": { type: "apns", keyfile: "gone.p8" } } }),
    /com\.x/,
  ],
  ["no apps are configured", () => change({ apps: {} }), /apps/],
  ["`http.port` is no number", () => change({ http: { port: "http" } }), /http\.port/],
  ["the port is in use", () => change({ http: { port: takenPort() } }), /in use/],
  [
    "the address is another machine's",
    () => change({ http: { port: 0, bind_addresses: ["192.0.2.1"] } }),
    /192\.0\.2\.1/,
  ],
  [
    "it would listen nowhere",
    () => change({ http: { port: 0, bind_addresses: [] } }),
    /http\.bind_addresses/,
  ],
];

/** Exit code and what was printed. */
async function startOf(index: number): Promise<{ code: number | string; printed: string }> {
  const path = join(directory, `${index}.yaml`);
  const yaml = cases[index]?.[1]();
  if (yaml !== undefined) await writeFile(path, yaml, { mode: 0o600 });
  const started = spawnSignalbox(["serve", "--config", path], { cwd: directory });
  const timer = setTimeout(() => started.child.kill("SIGKILL"), 20_000);
  const code = await started.ended();
  clearTimeout(timer);
  return { code, printed: started.stdout() + started.stderr() };
}

let starts: readonly { code: number | string; printed: string }[] = [];
beforeAll(async () => {
  const queue = cases.map((_case, index) => index);
  const ended: { code: number | string; printed: string }[] = [];
  const lane = async (): Promise<void> => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift())
      ended[index] = await startOf(index);
  };
  await Promise.all([lane(), lane(), lane()]);
  starts = ended;
}, 60_000);

it.each(cases.map(([what, , says], index) => [what, says, index] as const))(
  "ends with exit code 1 and a line of its own when %s",
  (_what, says, index) => {
    expect(starts[index]?.printed).toMatch(says);
    expect(starts[index]?.code).toBe(1);
    expect(starts[index]?.printed).not.toMatch(/\n\s+at /);
  },
);
