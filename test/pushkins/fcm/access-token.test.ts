import { createServer as createHttpsServer } from "node:https";
import { generateKeyPairSync } from "node:crypto";
import type { Outcome } from "../../../src/core/outcome.ts";
import type { JsonObject } from "../../../src/json.ts";
import { createAccessToken } from "../../../src/pushkins/fcm/access-token.ts";
import { TokenError } from "../../../src/upstream/cached-token.ts";
import { createHttpClient, type HttpClient } from "../../../src/upstream/http-client.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import { createCredentials as createFiles } from "../../support/credentials.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { startForwardProxy, type ForwardProxy } from "../../support/forward-proxy.ts";
import { listen, testCa, testCertificate, type Listening } from "../../support/upstream-server.ts";
import { simulatorCredentials, startFcm, type FcmRig, type FcmRigOptions } from "./fcm-fixture.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";

const toStop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

async function start(options: FcmRigOptions = {}): Promise<FcmRig> {
  const rig = await startFcm(options);
  toStop.push(() => rig.stop());
  return rig;
}

function retryable(outcome: Outcome): Extract<Outcome, { kind: "retryable" }> {
  if (outcome.kind !== "retryable") throw new Error(`${outcome.kind} instead of retryable`);
  return outcome;
}

/** The access token that went with each push. */
const bearers = (rig: FcmRig): readonly (string | undefined)[] =>
  rig.simulator.recorder.requests
    .filter(({ upstream }) => upstream === "fcm")
    .map(({ headers }) => headers["authorization"]);

describe("the access token", () => {
  it("is fetched once for 500 pushes that wait for it", async () => {
    const rig = await start();
    const outcomes = await Promise.all(Array.from({ length: 500 }, () => rig.outcome()));
    expect(outcomes.filter(({ kind }) => kind === "delivered")).toHaveLength(500);
    expect(rig.simulator.oauth.requests).toBe(1);
    expect(new Set(bearers(rig)).size).toBe(1);
  });

  it("is renewed in the background before its end, while the old one serves", async () => {
    const rig = await start({ simulator: { expiresInS: 100 } });
    await rig.send();
    await rig.clock.advance(70_000);
    await rig.send();
    expect(rig.simulator.oauth.requests).toBe(1);
    await rig.clock.advance(12_000);
    await rig.send();
    await rig.simulator.recorder.waitUntil(({ counts }) => counts.answers["oauth 200"] === 2);
    const [first, second, third] = bearers(rig);
    expect([second, third]).toEqual([first, first]);
    // The answer has been sent, and takes a moment to be read.
    for (let i = 0; i < 200 && bearers(rig).at(-1) === first; i += 1) await rig.send();
    expect(bearers(rig).at(-1)).not.toBe(first);
    expect(rig.simulator.oauth.requests).toBe(2);
  });

  it("is used to its very end while the token endpoint is down, and fetched again once it is back (UF08)", async () => {
    const rig = await start({ simulator: { expiresInS: 100 } });
    await rig.send();
    const [rule = -1] = rig.simulator.script.add({ upstream: "oauth", answer: { kind: "raw", status: 503 } });
    for (const ms of [82_000, 10_000, 7_000]) {
      await rig.clock.advance(ms);
      expect((await rig.outcome()).kind).toBe("delivered");
    }
    expect(rig.simulator.oauth.requests).toBeGreaterThan(1);
    await rig.clock.advance(5_000);
    expect(await rig.outcome()).toEqual({
      kind: "retryable",
      reason: "connect",
      alarm: true,
      detail: "the token endpoint answered 503",
    });
    rig.simulator.script.remove(rule);
    await rig.clock.advance(60_000);
    expect((await rig.outcome()).kind).toBe("delivered");
  });

  it("that is slow to come is waited for, but not longer than the attempt may take (UF08)", async () => {
    const rig = await start();
    rig.simulator.script.add({ upstream: "oauth", delay: 10_500 });
    const abort = new AbortController();
    const impatient = rig.send(undefined, abort.signal);
    const patientOne = rig.send();
    await rig.simulator.recorder.waitUntil(({ counts }) => counts.answers["oauth 200"] === 1);
    await rig.clock.advance(9_000);
    abort.abort();
    const given = { kind: "retryable", reason: "timeout", detail: "aborted no-access-token-yet" };
    expect((await impatient).outcome).toEqual(given);
    await rig.clock.advance(1_000);
    expect((await patientOne).outcome).toEqual(given);
    const late = rig.send();
    await rig.clock.advance(500);
    expect((await late).outcome.kind).toBe("delivered");
    expect([rig.simulator.oauth.requests, rig.requests()]).toEqual([1, 1]);
  });
});

describe("a token endpoint that says no is the operator's matter, in a sentence fit for a log", () => {
  const secrets = (): readonly string[] => {
    const account = simulatorCredentials().serviceAccount("");
    return [account.client_email, account.private_key_id, account.private_key.slice(40, 80), "127.0.0.1"];
  };

  it.each<[string, FcmRigOptions, string]>([
    [
      "another key",
      {
        account: {
          private_key: generateKeyPairSync("rsa", { modulusLength: 2048 })
            .privateKey.export({ type: "pkcs8", format: "pem" })
            .toString(),
        },
      },
      "the token endpoint answered 400 invalid_grant",
    ],
    [
      "an account that is gone",
      { account: { client_email: "gone@demo-project.iam.gserviceaccount.com" } },
      "the token endpoint answered 400 invalid_grant",
    ],
    [
      "a wrong clock",
      { clockOffMs: 3_600_000 },
      "the token endpoint answered 400 invalid_grant: this machine's clock is wrong",
    ],
  ])("%s", async (_name, options, detail) => {
    const rig = await start(options);
    const outcome = await rig.outcome();
    expect(outcome).toEqual({
      kind: "retryable",
      reason: "credentials",
      retryAfterMs: 30_000,
      alarm: true,
      detail,
    });
    for (const secret of secrets()) expect(JSON.stringify(outcome)).not.toContain(secret);
    expect(rig.requests()).toBe(0);
  });

  it.each<[string, Answer, string, string]>([
    [
      "401 invalid_client",
      { kind: "error", reason: "invalid_client", status: 401 },
      "credentials",
      "401 invalid_client",
    ],
    [
      "a word of its own",
      { kind: "error", reason: "token ya29.x", status: 400 },
      "credentials",
      "the token endpoint answered 400",
    ],
    ["403 as HTML", { kind: "raw", status: 403 }, "credentials", "the token endpoint answered 403"],
    [
      "a redirection",
      { kind: "raw", status: 302, headers: { location: "https://127.0.0.1:1/" } },
      "credentials",
      "answered 302",
    ],
    ["429", { kind: "raw", status: 429 }, "connect", "the token endpoint answered 429"],
    ["500", { kind: "raw", status: 500, body: "" }, "connect", "the token endpoint answered 500"],
    ["200 as HTML", { kind: "raw", status: 200 }, "connect", "no access token in the answer"],
    [
      "200 with nothing in it",
      { kind: "raw", status: 200, body: "" },
      "connect",
      "no access token in the answer",
    ],
    ["204", { kind: "raw", status: 204, body: "" }, "connect", "no access token in the answer"],
    [
      "a number for a token",
      { kind: "raw", status: 200, body: '{"access_token":5,"expires_in":60}' },
      "connect",
      "no access token",
    ],
    ["a long answer", { kind: "raw", status: 200, bodyBytes: 1_000_000 }, "connect", "no answer (other)"],
    ["a cut connection", { kind: "close" }, "connect", "no answer (reset)"],
  ])("%s", async (_name, answer, reason, detail) => {
    const rig = await start();
    rig.simulator.script.add({ upstream: "oauth", answer });
    const outcome = retryable(await rig.outcome());
    expect(outcome).toMatchObject({ reason, alarm: true });
    expect(outcome.detail).toContain(detail);
    expect(outcome.detail).not.toContain("ya29");
  });

  it("is asked less and less often, and not once a push", async () => {
    const rig = await start();
    rig.simulator.script.add({ upstream: "oauth", answer: { kind: "error", reason: "invalid_grant" } });
    for (let second = 0; second < 60; second += 1) {
      await Promise.all([rig.outcome(), rig.outcome(), rig.outcome()]);
      await rig.clock.advance(1_000);
    }
    // After 0, 1, 3, 7, 15, 31 s.
    expect(rig.simulator.oauth.requests).toBe(6);
  });
});

describe("the file's token_uri", () => {
  it("is where the assertion goes, and what it is for", async () => {
    const rig = await start();
    await rig.send();
    const [request] = rig.simulator.recorder.requests;
    const assertion = new URLSearchParams(request?.body).get("assertion") ?? "";
    const [, claims = ""] = assertion.split(".");
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({
      aud: rig.simulator.tokenUri,
      iss: simulatorCredentials().serviceAccount("").client_email,
      scope: SCOPE,
    });
  });

  it("may be another server than FCM's", async () => {
    const elsewhere = await start();
    const rig = await start({ account: { token_uri: elsewhere.simulator.tokenUri } });
    // A token of the other server means nothing to this FCM; what counts is who was asked.
    expect(await rig.outcome()).toMatchObject({ kind: "retryable", reason: "credentials" });
    expect(elsewhere.simulator.oauth.requests).toBeGreaterThan(0);
    expect(rig.simulator.oauth.requests).toBe(0);
  });

  it("is not trusted without the configured authority", async () => {
    const rig = await start({ config: { ca_file: undefined } });
    expect(await rig.outcome()).toMatchObject({ reason: "connect", alarm: true, detail: "no answer (tls)" });
    expect(rig.simulator.oauth.requests).toBe(0);
  });
});

describe("through a forward proxy (sygnal-compat 16)", () => {
  async function startProxy(): Promise<ForwardProxy> {
    const proxy = await startForwardProxy();
    proxy.url.username = "user";
    proxy.url.password = "pa%3Ass";
    toStop.push(() => proxy.close());
    return proxy;
  }

  it("go both the token and the pushes, with its credentials decoded", async () => {
    const proxy = await startProxy();
    const rig = await start({ proxy: proxy.url });
    expect((await rig.outcome()).kind).toBe("delivered");
    const target = `127.0.0.1:${rig.simulator.port}`;
    const credentials = `Basic ${Buffer.from("user:pa:ss").toString("base64")}`;
    expect(proxy.asked).toEqual([
      { target, credentials },
      { target, credentials },
    ]);
  });

  it("that says no, pushes wait and the operator is told; when it is back they go on (UX05)", async () => {
    const proxy = await startProxy();
    proxy.answer = 407;
    const rig = await start({ proxy: proxy.url });
    expect(await rig.outcome()).toEqual({
      kind: "retryable",
      reason: "connect",
      alarm: true,
      detail: "no answer (proxy)",
    });
    proxy.answer = "relay";
    await rig.clock.advance(1_000);
    expect((await rig.outcome()).kind).toBe("delivered");
  });
});

describe("other credentials than a service account", () => {
  interface TokenServer extends Listening {
    readonly asked: { readonly path: string; readonly form: Record<string, string> }[];
  }

  async function startTokenServer(answer: JsonObject = {}): Promise<TokenServer> {
    const asked: TokenServer["asked"] = [];
    const server = createHttpsServer(testCertificate("localhost"), (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += String(chunk)));
      request.on("end", () => {
        asked.push({ path: request.url ?? "", form: Object.fromEntries(new URLSearchParams(body)) });
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ access_token: "ya29.test", expires_in: 3600, ...answer }));
      });
    });
    const listening = await listen(server);
    toStop.push(() => listening.close());
    return { ...listening, asked };
  }

  const http = createHttpClient({ ca: testCa });
  const user = {
    type: "authorized_user",
    client_id: "id",
    client_secret: "secret",
    refresh_token: "refresh",
  };

  it("authorized_user: the refresh token goes to the file's token_uri", async () => {
    const server = await startTokenServer();
    const file = { ...user, token_uri: `${server.origin.origin}/token` };
    const clock = createFakeClock();
    const accessToken = createAccessToken(file, http, clock);
    expect(await accessToken.get()).toBe("ya29.test");
    expect(server.asked).toEqual([
      {
        path: "/token",
        form: {
          client_id: "id",
          client_secret: "secret",
          refresh_token: "refresh",
          grant_type: "refresh_token",
        },
      },
    ]);
    await clock.advance(3_000_000);
    expect(accessToken.get()).toBe("ya29.test");
    expect(server.asked).toHaveLength(1);
  });

  it("external_account: the file's subject token goes to its token_url", async () => {
    const server = await startTokenServer({
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    });
    const files = createFiles();
    toStop.push(async () => files.remove());
    const accessToken = createAccessToken(
      {
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: `${server.origin.origin}/v1/token`,
        credential_source: { file: files.write("subject", "subject-token") },
      },
      http,
      createFakeClock(),
    );
    expect(await accessToken.get()).toBe("ya29.test");
    expect(server.asked).toMatchObject([
      { path: "/v1/token", form: { subject_token: "subject-token", scope: SCOPE } },
    ]);
  });

  describe("of the machine (application default credentials)", () => {
    const before = process.env["GOOGLE_APPLICATION_CREDENTIALS"];
    afterEach(() => {
      if (before === undefined) delete process.env["GOOGLE_APPLICATION_CREDENTIALS"];
      else process.env["GOOGLE_APPLICATION_CREDENTIALS"] = before;
    });

    it("are found, and taken to Google", async () => {
      const server = await startTokenServer();
      const files = createFiles();
      toStop.push(async () => files.remove());
      process.env["GOOGLE_APPLICATION_CREDENTIALS"] = files.write("adc.json", JSON.stringify(user));
      // Google's name is the only thing here that is not real.
      const google = "https://oauth2.googleapis.com";
      const rerouted: HttpClient = (request) =>
        http({ ...request, url: request.url.replace(google, server.origin.origin) });
      expect(await createAccessToken(undefined, rerouted, createFakeClock()).get()).toBe("ya29.test");
      expect(server.asked).toMatchObject([{ path: "/token", form: { refresh_token: "refresh" } }]);
    });

    it("that are not there are the operator's matter", async () => {
      process.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere/adc.json";
      const getting = createAccessToken(undefined, http, createFakeClock()).get();
      await expect(getting).rejects.toEqual(
        new TokenError("refused", "there are no credentials that can be used"),
      );
      await expect(getting).rejects.toMatchObject({ kind: "refused" });
    });
  });
});
