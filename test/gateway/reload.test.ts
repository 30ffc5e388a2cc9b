import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { Config } from "../../src/config/schema.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { inEffect, needsRestart } from "../../src/gateway/reload.ts";

describe("the configuration in effect after a reload", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "signalbox-in-effect-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function config(text: string): Promise<Config> {
    const path = join(directory, "sygnal.yaml");
    await writeFile(path, `apps: {a.b: {type: unifiedpush}}\n${text}`, { mode: 0o600 });
    const loaded = await loadConfig({ path, env: {}, pushkinTypes });
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    return loaded.config;
  }

  it("is the new one, but for what only a restart changes", async () => {
    const started = await config(
      "http: {port: 5100}\nstore: {url: 'sqlite:one.db'}\nworkers: 2\nexplain: {enabled: true, keep: 1h}\nlimits: {max_body: 10000}",
    );
    const now = await config(
      "http: {port: 5200, trusted_proxies: [10.0.0.0/8]}\nstore: {url: 'sqlite:two.db'}\nworkers: 3\nexplain: {enabled: false, keep: 2h}\nlimits: {max_body: 20000}",
    );
    expect(needsRestart(started, now)).toEqual(["http.port", "store", "workers", "explain.enabled"]);
    const running = inEffect(started, now);
    expect(needsRestart(started, running)).toEqual([]);
    expect(running).toMatchObject({
      http: { port: 5100, trusted_proxies: now.http.trusted_proxies },
      store: started.store,
      workers: 2,
      explain: { enabled: true, keep: now.explain.keep },
      limits: { max_body: 20000 },
    });
    expect(running.apps).toBe(now.apps);
  });

  it("has TLS as it was at the start, and its files as they are named now", async () => {
    const plain = await config("http: {port: 5100}");
    const [one, two] = ["one", "two"].map((name): Config => {
      const tls = { cert_file: `${name}.pem`, key_file: `${name}.key` };
      return { ...plain, http: { ...plain.http, tls } };
    });
    if (one === undefined || two === undefined) throw new Error("two configurations");
    expect(inEffect(plain, one).http).toEqual(plain.http);
    expect("tls" in inEffect(plain, one).http).toBe(false);
    expect(inEffect(one, plain).http.tls).toEqual(one.http.tls);
    expect(inEffect(one, two).http.tls).toEqual(two.http.tls);
  });
});
