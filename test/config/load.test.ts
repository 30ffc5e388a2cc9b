import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import type { Loaded } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { Config } from "../../src/config/schema.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { createCredentials } from "../support/credentials.ts";
import type { Credentials } from "../support/credentials.ts";

const TOKEN = "qL3v0Xw9ZbT1mKcYh7RfUd2sNpE5gAjO";

const typeNames = pushkinTypes.flatMap((type) => type.types).join(", ");

let files: Credentials;
let key: string;
let account: string;
/** The least that an `apps` needs. */
let apps: string;

beforeAll(() => {
  files = createCredentials();
  key = files.write("key.p8", files.p256());
  account = files.write("account.json", files.serviceAccount());
  apps = `apps:\n  com.example.ios: {type: apns, keyfile: ${key}, key_id: K, team_id: T, topic: com.example}\n`;
});
afterAll(() => files.remove());

async function load(text: string, env: Record<string, string> = {}, mode = 0o600): Promise<Loaded> {
  return loadConfig({ path: files.write("sygnal.yaml", text, mode), env, pushkinTypes });
}

/** The lines of the problems, without the file's name in front. */
async function problems(text: string, env: Record<string, string> = {}): Promise<readonly string[]> {
  const loaded = await load(text, env);
  if (loaded.ok) throw new Error("it was taken");
  return loaded.problems.map((problem) => formatProblem({ ...problem, file: "F" }));
}

async function accepted(text: string, env: Record<string, string> = {}): Promise<Config> {
  const loaded = await load(text, env);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.config;
}

async function warnings(
  text: string,
  env: Record<string, string> = {},
  mode = 0o600,
): Promise<readonly string[]> {
  const loaded = await load(text, env, mode);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.warnings.map((warning) => formatProblem({ ...warning, file: "F" }));
}

describe("a configuration of Sygnal's", () => {
  const sample = (): string => `
log:
  setup:
    version: 1
    formatters:
      normal:
        format: "%(asctime)s [%(process)d] %(levelname)-5s %(name)s %(message)s \${not_a_variable}"
    handlers:
      stderr: {class: logging.StreamHandler, formatter: normal, stream: ext://sys.stderr}
      file: {class: logging.handlers.WatchedFileHandler, filename: ./sygnal.log, formatter: normal}
    loggers:
      sygnal.access: {propagate: false, handlers: [stderr], level: INFO}
      sygnal: {propagate: false, handlers: [stderr, file]}
    root: {handlers: [stderr], level: INFO}
    disable_existing_loggers: false
  access:
    x_forwarded_for: yes
    file: access.log
http:
  bind_addresses: ['127.0.0.1', '::1']
  port: '5000'
metrics:
  prometheus: {enabled: True, address: '', port: 8000}
  opentracing:
    enabled: no
    implementation: jaeger
    jaeger:
      sampler: {type: const, param: 1}
    service_name: sygnal
  sentry:
    enabled: false
proxy: ~
apps:
  com.example.ios: &ios
    type: apns
    keyfile: ${key}
    key_id: 12345E6789
    team_id: 0123456789
    topic: com.example.ios
    inflight_request_limit: 1_000
  com.example.ios.dev:
    <<: *ios
    platform: sandbox
    push_type: ''
    convert_device_token_to_hex: off
  com.example.android.*:
    type: gcm
    api_version: v1
    api_key: unused
    project_id: example-project
    service_account_file: ${account}
    max_connections: 0x14
    fcm_options:
      android: {ttl: 60s}
`;

  it("starts unchanged, without problems or warnings", async () => {
    expect(await warnings(sample())).toEqual([]);
  });

  it("is read as Sygnal reads it", async () => {
    const config = await accepted(sample());
    expect(config.http).toEqual({ port: 5000, bind_addresses: ["127.0.0.1", "::1"], trusted_proxies: [] });
    expect(config.log.access.x_forwarded_for).toBe(true);
    expect(config.log.setup).toMatchObject({ version: 1, root: { level: "INFO" } });
    expect(JSON.stringify(config.log.setup)).toContain("${not_a_variable}");
    expect(config.metrics.prometheus).toEqual({ enabled: true, address: "0.0.0.0", port: 8000 });
    expect(config.metrics.opentracing.jaeger).toEqual({ sampler: { type: "const", param: 1 } });
    expect(config.proxy).toBeUndefined();
    expect([...config.apps.keys()]).toEqual([
      "com.example.ios",
      "com.example.ios.dev",
      "com.example.android.*",
    ]);
    expect(config.apps.get("com.example.ios")).toMatchObject({
      type: { types: ["apns"] },
      options: {
        key_id: "12345E6789",
        team_id: "0123456789",
        platform: "production",
        inflight_request_limit: 1000,
      },
    });
    const dev = config.apps.get("com.example.ios.dev")?.options;
    expect(dev).toMatchObject({
      platform: "sandbox",
      convert_device_token_to_hex: false,
      send_badge_counts: true,
    });
    expect(dev).not.toHaveProperty("push_type");
    expect(config.apps.get("com.example.android.*")?.options).toMatchObject({
      max_connections: 20,
      fcm_options: { android: { ttl: "60s" } },
    });
  });

  it("treats a null section as absent", async () => {
    const config = await accepted(
      `http:\nlog:\nmetrics:\n  prometheus:\ndelivery:\nadmin:\n  token:\n${apps}`,
    );
    expect(config.http.port).toBe(5000);
    expect(config.metrics.prometheus.enabled).toBe(false);
    expect(config.delivery.answer_within).toBe(5000);
    expect(config.admin).toEqual({ enabled: true, bind_address: "127.0.0.1", port: 5001 });
  });

  it.each([
    ["4", 4],
    ["auto", "auto"],
  ])("takes a number of threads, and auto: %s", async (written, workers) => {
    const loaded = await load(`workers: ${written}\n${apps}`);
    expect(loaded).toMatchObject({ ok: true, config: { workers } });
    expect(await warnings(`workers: ${written}\n${apps}`)).toEqual([]);
  });

  it("warns of the database that is gone", async () => {
    expect(await warnings(`db: {name: x}\ndatabase: {}\n${apps}`)).toEqual([
      expect.stringMatching(/^F:1: db: is ignored/),
      expect.stringMatching(/^F:2: database: is ignored/),
    ]);
  });

  it.each(["'true'", "1", "yes please", "[]"])(
    "is without metrics for `enabled: %s`, and says so",
    async (value) => {
      const text = `metrics:\n  prometheus:\n    enabled: ${value}\n${apps}`;
      expect((await accepted(text)).metrics.prometheus.enabled).toBe(false);
      expect(await warnings(text)).toEqual([
        expect.stringMatching(/^F:3: metrics\.prometheus\.enabled: counts as off/),
      ]);
    },
  );

  it("takes HTTPS_PROXY from the environment when `proxy` is absent or null, and only then", async () => {
    const env = { HTTPS_PROXY: "http://env:3128" };
    expect((await accepted(apps, env)).proxy).toBe("http://env:3128");
    expect((await accepted(`proxy: ~\n${apps}`, env)).proxy).toBe("http://env:3128");
    expect((await accepted(`proxy: http://file:1\n${apps}`, env)).proxy).toBe("http://file:1");
    expect((await accepted(apps, { HTTPS_PROXY: "" })).proxy).toBeUndefined();
    const others = {
      https_proxy: "http://env:1",
      HTTP_PROXY: "http://env:2",
      http_proxy: "http://env:3",
      ALL_PROXY: "http://env:4",
    };
    expect((await accepted(apps, others)).proxy).toBeUndefined();
    for (const name of ["NO_PROXY", "no_proxy"])
      expect((await accepted(apps, { ...env, [name]: "*" })).proxy).toBe("http://env:3128");
    expect(await problems(apps, { HTTPS_PROXY: "socks5://x" })).toEqual([
      expect.stringMatching(/^F: proxy: .*HTTPS_PROXY/),
    ]);
  });
});

describe("defaults", () => {
  it("need nothing but one app", async () => {
    const { apps: _apps, ...settings } = await accepted(apps);
    expect(settings).toEqual({
      http: { port: 5000, bind_addresses: ["127.0.0.1"], trusted_proxies: [] },
      admin: { enabled: true, bind_address: "127.0.0.1", port: 5001 },
      log: { access: { x_forwarded_for: false } },
      explain: { enabled: true, keep: 604_800_000, max_rows: 200_000 },
      metrics: {
        prometheus: { enabled: false, address: "127.0.0.1", port: 8000 },
        opentracing: { enabled: false, service_name: "sygnal", jaeger: {} },
        sentry: { enabled: false },
      },
      tracing: { service_name: "signalbox", share: 1 },
      store: { url: "sqlite:signalbox.db" },
      delivery: {
        answer_within: 5000,
        expire_after: { message: 86_400_000, call: 30_000, badge: 3_600_000 },
        dedupe_for: 86_400_000,
        drain_delay: 5000,
      },
      rejections: {
        keep: 2_592_000_000,
        guard: { enabled: true, share: 0.2, minimum: 50, window: 300_000 },
      },
      limits: {
        max_body: 524_288,
        max_devices: 100,
        max_depth: 32,
        max_multisend: 1000,
        per_source: null,
        per_app: null,
        per_account: null,
        per_device: null,
      },
      outbox: { max_rows: 1_000_000, max_bytes: 2_147_483_648, app_share: 0.2 },
      outbound: { allow_addresses: [], allow_ports: [443], allow_http: false },
      upstream: { http2: "node", http2_to_push_services: false },
      matrix: { unifiedpush_gateway: false },
      workers: 1,
      strict_permissions: false,
    });
  });

  it("are frozen to the depths, and so is what the file says", async () => {
    const config = await accepted(`outbound: {allow_addresses: [10.0.0.0/8]}\n${apps}`);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.outbound.allow_addresses)).toBe(true);
    expect(Object.isFrozen(config.apps.get("com.example.ios")?.options)).toBe(true);
  });

  it.each([
    [
      "delivery: {expire_after: 2h}",
      { delivery: { expire_after: { message: 7_200_000, call: 30_000, badge: 3_600_000 } } },
    ],
    [
      "delivery: {expire_after: 10}",
      { delivery: { expire_after: { message: 10_000, call: 10_000, badge: 10_000 } } },
    ],
    [
      "delivery: {expire_after: {call: 1m}}",
      { delivery: { expire_after: { message: 86_400_000, call: 60_000 } } },
    ],
    ["rejections: {guard: off}", { rejections: { guard: { enabled: false } } }],
    [
      "rejections: {guard: {share: 0.5}}",
      { rejections: { guard: { enabled: true, share: 0.5, minimum: 50 } } },
    ],
    [
      "limits: {per_device: 240/m, per_source: off}",
      { limits: { per_device: { count: 240, window: 60_000 } } },
    ],
    ["http: {trusted_proxies: [10.0.0.1]}", { http: { trusted_proxies: ["10.0.0.1/32"] } }],
  ])("`%s` is understood", async (text, expected) => {
    expect(await accepted(`${text}\n${apps}`)).toMatchObject(expected);
  });

  it("do not leak between aliases of one mapping", async () => {
    const config = await accepted(`x: &d {answer_within: 7, dedupe_for: 9}\ndelivery: *d\n${apps}`);
    expect(config.delivery).toMatchObject({ answer_within: 7000, dedupe_for: 9000 });
  });
});

describe("refusals", () => {
  it.each([
    ["an empty file", "", ["F: apps: no app is configured; there must be one"]],
    ["apps: null", "apps:\n", ["F:1: apps: no app is configured; there must be one"]],
    ["apps as a list", "apps: [a]\n", ["F:1: apps: must be a mapping, is a list"]],
    ["a list at the top", "- a\n", ["F:1: the top level must be a mapping"]],
    ["text at the top", "hello\n", ["F:1: the top level must be a mapping"]],
    ["a syntax error", "a: b: c\n", [expect.stringMatching(/^F:1:4: a mapping cannot start here/)]],
  ])("%s", async (_what, text, expected) => {
    const found = await problems(text);
    expect(found.length).toBe(expected.length);
    found.forEach((line, index) => expect(line).toEqual(expected[index]));
  });

  it.each([
    ["http: [x]", "F:1: http: must be a mapping, is a list"],
    ["http: {port: abc}", "F:1: http.port: must be a port number from 0 to 65535"],
    ["http: {port: ~}", "F:1: http.port: must be a port number from 0 to 65535"],
    ["http: {bind_addresses: []}", "F:1: http.bind_addresses: must have at least one entry"],
    ["http: {bind_addresses: 127.0.0.1}", "F:1: http.bind_addresses: must be a list, is a string"],
    [
      "http: {bind_addresses: [1]}",
      expect.stringMatching(/^F:1: http\.bind_addresses\[0\]: must be an IP address/),
    ],
    [
      "http: {trusted_proxies: [10.0.0.0/40]}",
      expect.stringMatching(/^F:1: http\.trusted_proxies\[0\]: must be a block/),
    ],
    ["http: {tls: {cert_file: a}}", "F:1: http.tls.key_file: is missing"],
    ["metrics: {sentry: {enabled: true}}", "F:1: metrics.sentry.dsn: is missing although Sentry is enabled"],
    [
      "metrics: {opentracing: {enabled: true}}",
      expect.stringMatching(/^F:1: metrics\.opentracing\.implementation: is missing/),
    ],
    [
      "metrics: {opentracing: {enabled: true, implementation: zipkin}}",
      expect.stringMatching(/implementation: must be one of jaeger$/),
    ],
    [
      "metrics: {prometheus: {port: x}}",
      "F:1: metrics.prometheus.port: must be a port number from 0 to 65535",
    ],
    ["log: {setup: text}", "F:1: log.setup: must be a mapping, is a string"],
    ["proxy: https://proxy", "F:1: proxy: must begin with http://, other proxies are not supported"],
    ["proxy: proxy.example.com", expect.stringMatching(/^F:1: proxy: must be http:/)],
    [
      "delivery: {answer_within: soon}",
      expect.stringMatching(/^F:1: delivery\.answer_within: must be a duration/),
    ],
    [
      "delivery: {answer_whitin: 5s}",
      "F:1: delivery.answer_whitin: unknown key (did you mean `answer_within`?)",
    ],
    [
      "rejections: {guard: {shares: 0.1}}",
      "F:1: rejections.guard.shares: unknown key (did you mean `share`?)",
    ],
    ["rejections: {guard: {share: 0}}", "F:1: rejections.guard.share: must be greater than 0"],
    ["rejections: {guard: 7}", "F:1: rejections.guard: must be a mapping, is a number"],
    ["limits: {max_devices: 0}", "F:1: limits.max_devices: must be at least 1"],
    ["limits: {max_devices: 1.5}", "F:1: limits.max_devices: must be a whole number, is a number"],
    ["workers: two", "F:1: workers: must be a whole number from 1 to 64, or auto"],
    ["workers: 65", "F:1: workers: must be a whole number from 1 to 64, or auto"],
    [
      "workers: 2\nstore: {url: 'memory:'}",
      "F:1: workers: more than 1 needs a store that threads can share: sqlite or postgresql, not memory:",
    ],
    ["strict_permissions: 'yes'", "F:1: strict_permissions: must be true or false, is a string"],
    ["store: {url: mysql://h/db}", "F:1: store.url: must be sqlite:FILE, postgresql://… or memory:"],
    [
      "store: {url: memory}\ndelivery: {answer_within: 0}",
      expect.stringMatching(/^F:2: delivery\.answer_within: 0 needs a store/),
    ],
    ["admin: {bind_address: 0.0.0.0}", expect.stringMatching(/^F:1: admin\.token: is missing, and required/)],
    ["admin: {token: ''}", expect.stringMatching(/^F:1: admin\.token: must/)],
    ["proxy: ''", expect.stringMatching(/^F:1: proxy: must/)],
    [
      "metrics: {opentracing: {jaeger: {since: 2024-01-01}}}",
      "F:1: metrics.opentracing.jaeger.since: must not be a date; put it in quotes if it is text",
    ],
    [
      "metrics: {opentracing: {jaeger: {param: .inf}}}",
      expect.stringMatching(/jaeger\.param: must not be an infinite/),
    ],
    ["admin: {token: short}", expect.stringMatching(/^F:1: admin\.token: must be at least 32 bytes long/)],
    [
      "admin: {token: change-me-change-me-change-me-change-me}",
      expect.stringMatching(/^F:1: admin\.token: is an example/),
    ],
    [
      "admin: {token: '${NO_SUCH}'}",
      "F:1: admin.token: the environment variable NO_SUCH is not set, or empty",
    ],
    ["admin: {token: '${EMPTY}'}", "F:1: admin.token: the environment variable EMPTY is not set, or empty"],
    ["admin: {token: {file: /nonexistent}}", "F:1: admin.token.file: cannot be read: no such file"],
    [
      "softphone: {api_keys: [{file: /nonexistent}]}",
      "F:1: softphone.api_keys[0].file: cannot be read: no such file",
    ],
    ["outbound: {allow_ports: []}", "F:1: outbound.allow_ports: must have at least one entry"],
  ])("%s", async (text, expected) => {
    const lines = await problems(`${text}\n${apps}`, { EMPTY: "" });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEqual(expected);
  });

  it.each([
    [
      "a number as app id",
      "apps:\n  7: {type: gcm}\n",
      'F:2: apps["7"]: must be text; put the app id in quotes',
    ],
    ["an app that is null", "apps:\n  a:\n", 'F:2: apps["a"]: must be a mapping with a `type`, is null'],
    ["no type", "apps:\n  a: {}\n", `F:2: apps["a"].type: is missing; it must be one of ${typeNames}`],
    [
      "a type that is a number",
      "apps:\n  a: {type: 5}\n",
      expect.stringMatching(/type: must be a string, is a number/),
    ],
    [
      "an unknown type",
      "apps:\n  a: {type: apn}\n",
      `F:2: apps["a"].type: must be one of ${typeNames} (did you mean \`apns\`?)`,
    ],
    [
      "a Python class",
      "apps:\n  a: {type: my.Pushkin}\n",
      expect.stringMatching(/^F:2: apps\["a"\]\.type: names a Python class/),
    ],
  ])("%s", async (_what, text, expected) => {
    expect(await problems(text)).toContainEqual(expected);
  });

  it("a file that is not there, a directory, one that is too large or no text", async () => {
    const read = async (path: string): Promise<string> => {
      const loaded = await loadConfig({ path, env: {}, pushkinTypes });
      return loaded.ok ? "ok" : loaded.problems.map((problem) => problem.message).join();
    };
    mkdirSync(join(files.directory, "folder"));
    expect(await read(join(files.directory, "none.yaml"))).toBe("cannot be read: no such file");
    expect(await read(join(files.directory, "folder"))).toBe("cannot be read: it is no regular file");
    expect(await read(files.write("large.yaml", "#".repeat(1_048_577)))).toBe(
      "cannot be read: it is larger than 1 MiB",
    );
  });

  it("all at once, each with its line and path, in the order of the file", async () => {
    const text = [
      "http: {port: x}",
      "delivery: {answer_whitin: 5s}",
      "apps:",
      "  com.example.a:",
      "    type: apns",
      "    keyfile: /nonexistent.p8",
      "    platform: moon",
      "  com.example.b:",
      "    type: gcm",
      "    max_connections: 0",
      "    send_badge_counts: 'no'",
      "  com.example.c: {type: sms}",
    ].join("\n");
    expect(await problems(text)).toEqual([
      "F:1: http.port: must be a port number from 0 to 65535",
      "F:2: delivery.answer_whitin: unknown key (did you mean `answer_within`?)",
      'F:4: apps["com.example.a"].key_id: is missing; `keyfile` needs it',
      'F:4: apps["com.example.a"].team_id: is missing; `keyfile` needs it',
      'F:4: apps["com.example.a"].topic: is missing; `keyfile` needs it',
      'F:6: apps["com.example.a"].keyfile: cannot be read: no such file',
      'F:7: apps["com.example.a"].platform: must be one of production, sandbox',
      expect.stringMatching(/^F:8: apps\["com\.example\.b"\]\.api_version: is missing/),
      'F:10: apps["com.example.b"].max_connections: must be at least 1',
      'F:11: apps["com.example.b"].send_badge_counts: must be true or false, is a string',
      `F:12: apps["com.example.c"].type: must be one of ${typeNames}`,
    ]);
  });

  it.each([
    [
      "a missing key",
      "webpush",
      "{type: webpush, vapid_contact_email: 5}",
      ["vapid_contact_email", "vapid_private_key"],
    ],
    ["a wrong key's file", "apns", "{type: apns, keyfile: 5, key_id: K, team_id: T, topic: a}", ["keyfile"]],
    [
      "options that are no mapping",
      "gcm",
      "{type: gcm, api_version: v1, fcm_options: 5, project_id: p}",
      ["fcm_options", "service_account_file"],
    ],
  ])("%s, without an echo of it", async (_what, id, options, names) => {
    const lines = await problems(`apps:\n  ${id}: ${options}\n`);
    expect(lines.map((line) => /^F:2: apps\["\w+"\]\.(\w+)/.exec(line)?.[1]).toSorted()).toEqual(names);
  });

  it("an app id that is configured twice, naming both lines", async () => {
    const text = `${apps}  com.example.ios: {type: gcm}\n`;
    expect(await problems(text)).toContain(
      'F:3: apps["com.example.ios"]: is configured twice, in lines 2 and 3',
    );
  });

  it("two patterns that are equally specific and can match the same app id", async () => {
    const entry = `{type: apns, keyfile: ${key}, key_id: K, team_id: T, topic: com.example}`;
    const tied = `apps:\n  "com.a*x": ${entry}\n  "com.a?*x": ${entry}\n`;
    expect(await problems(tied)).toEqual([
      expect.stringMatching(/^F:3: apps\["com\.a\?\*x"\]: is as specific as "com\.a\*x"/),
    ]);
    const disjoint = `apps:\n  "*.ios.prod": ${entry}\n  "*.ios.devl": ${entry}\n`;
    expect((await accepted(disjoint)).apps.size).toBe(2);
  });

  it("never repeat a secret", async () => {
    const secret = "hunter2-hunter2";
    const text = [
      `proxy: socks5://u:${secret}@proxy`,
      `store: {url: "mysql://u:${secret}@h/db"}`,
      `admin: {token: ${secret}}`,
      `metrics: {sentry: {enabled: true, dsn: [${secret}]}}`,
      "apps:",
      `  a: {type: gcm, api_version: v1, api_key: [${secret}], project_id: [${secret}]}`,
    ].join("\n");
    const lines = await problems(text);
    expect(lines.length).toBeGreaterThanOrEqual(6);
    expect(lines.join("\n")).not.toContain("hunter2");
  });
});

describe("unknown keys", () => {
  it("of Sygnal's sections warn and never stop the start", async () => {
    const text = `
htpp: 1
http: {prot: 1}
log: {acces: {}, access: {x_forwarded: true}}
metrics: {prometeus: {}, prometheus: {adress: x}, opentracing: {x: 1}, sentry: {y: 1}}
${apps.replace("type: apns", "type: apns, topik: x, api_version: v1")}`;
    expect(await warnings(text)).toEqual([
      "F:2: htpp: unknown key (did you mean `http`?)",
      "F:3: http.prot: unknown key (did you mean `port`?)",
      "F:4: log.acces: unknown key (did you mean `access`?)",
      "F:4: log.access.x_forwarded: unknown key (did you mean `x_forwarded_for`?)",
      "F:5: metrics.prometeus: unknown key (did you mean `prometheus`?)",
      "F:5: metrics.prometheus.adress: unknown key (did you mean `address`?)",
      "F:5: metrics.opentracing.x: unknown key",
      "F:5: metrics.sentry.y: unknown key",
      'F:7: apps["com.example.ios"].topik: unknown key (did you mean `topic`?)',
      'F:7: apps["com.example.ios"].api_version: unknown key',
    ]);
  });

  it("at the top may have meant `apps`", async () => {
    expect(await warnings(`aps: {}\n${apps}`)).toEqual(["F:1: aps: unknown key (did you mean `apps`?)"]);
  });

  it("are not handed to an app", async () => {
    const config = await accepted(apps.replace("type: apns", "type: apns, topik: x"));
    expect(config.apps.get("com.example.ios")?.options).not.toHaveProperty("topik");
  });

  it("twice: the last one counts, with a warning", async () => {
    const text = `strict_permissions: false\nstrict_permissions: true\n${apps}`;
    expect((await accepted(text)).strict_permissions).toBe(true);
    expect(await warnings(text)).toEqual([
      "F:2: strict_permissions: is written twice; line 2 counts, line 1 is ignored",
    ]);
  });
});

describe("secrets", () => {
  it("come from the environment, also as a part of a value", async () => {
    const text = `admin: {token: "\${TOKEN}"}\nstore: {url: "postgresql://u:\${PW}@h/db"}\n${apps}`;
    const config = await accepted(text, { TOKEN, PW: "p" });
    expect(config.admin.token).toBe(TOKEN);
    expect(config.store.url).toBe("postgresql://u:p@h/db");
  });

  it("come from files, without the line break at the end", async () => {
    const file = files.write("token", `${TOKEN}\n`);
    const config = await accepted(`admin: {token: {file: "${file}"}, bind_address: 0.0.0.0}\n${apps}`);
    expect(config.admin.token).toBe(TOKEN);
  });

  it("from an empty file are refused", async () => {
    const file = files.write("empty", "\n");
    expect(await problems(`admin: {token: {file: "${file}"}}\n${apps}`)).toEqual([
      "F:1: admin.token.file: the file is empty",
    ]);
  });

  it("in Sygnal's own keys are expanded as well", async () => {
    const text = apps.replace(key, '"${DIR}/key.p8"');
    expect(
      (await accepted(text, { DIR: files.directory })).apps.get("com.example.ios")?.options,
    ).toMatchObject({
      keyfile: key,
    });
  });
});

describe("files that others can read", () => {
  it("are a warning: the configuration", async () => {
    expect(await warnings(apps, {}, 0o644)).toEqual(["F: others can read this file; chmod o= it"]);
  });

  it("are a warning: a key, and a refusal with strict_permissions", async () => {
    const open = files.write("open.p8", files.p256(), 0o644);
    const text = apps.replace(key, open);
    expect(await warnings(text)).toEqual([
      'F:2: apps["com.example.ios"].keyfile: others can read the file; chmod o= it',
    ]);
    expect(await problems(`strict_permissions: true\n${text}`)).toEqual([
      'F:3: apps["com.example.ios"].keyfile: others can read the file; chmod o= it',
    ]);
  });
});

describe("http.tls", () => {
  it("takes a certificate with its key and refuses what does not belong together", async () => {
    const { cert, key: certKey } = files.certificate();
    const certFile = files.write("tls.pem", cert);
    const text = (keyFile: string): string =>
      `http: {tls: {cert_file: ${certFile}, key_file: ${keyFile}}}\n${apps}`;
    expect((await accepted(text(files.write("tls.key", certKey)))).http.tls?.cert_file).toBe(certFile);
    expect(await problems(text(key))).toEqual([
      "F:1: http.tls.cert_file: its certificate and the private key do not belong together",
    ]);
    expect(await problems(text(certFile))).toEqual([
      "F:1: http.tls.key_file: holds no private key in PEM form",
    ]);
  });
});
