import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createHash, scryptSync } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import {
  createAccounts,
  type Accounts,
  type AccountsOptions,
  type Identity,
} from "../../src/http/accounts.ts";
import { HttpError } from "../../src/http/errors.ts";
import { createJwtVerifier } from "../../src/http/jwt.ts";
import { createPeerCheck } from "../../src/http/remote-address.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

const token = "b0b5-t0ken-4f1c9a7d2e";
/** Of "right", a tenth as dear as those of the command. */
const hash = `scrypt:12:8:1:${"s".repeat(22)}:${scryptSync("right", Buffer.from("s".repeat(22), "base64url"), 32, { N: 4096, r: 8, p: 1 }).toString("base64url")}`;
let clock: FakeClock;
let accounts: Accounts;
let source: string;

beforeEach(() => {
  clock = createFakeClock();
  source = "192.0.2.1";
  accounts = make();
});

function make(more: Partial<AccountsOptions> = {}): Accounts {
  return createAccounts({
    accounts: [
      { id: "a-1", username: "alice", password_hash: hash },
      {
        id: "b-1",
        username: "bob",
        token_hash: `sha256:${createHash("sha256").update(token).digest("hex")}`,
      },
    ],
    sourceOf: () => source,
    clock,
    ...more,
  });
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A request with these headers that waits for its answer. */
async function request(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const server = createServer();
  servers.push(server);
  const got = new Promise<IncomingMessage>((resolve) => server.once("request", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers }).catch(() => undefined);
  return got;
}

const told = (identity: Identity): string =>
  identity instanceof HttpError ? `${identity.status}` : identity.id;
const bearer = async (value: string, from = accounts): Promise<string> =>
  told(await from.identify(await request({ authorization: `Bearer ${value}` })));
const guess = async (password: string, username = "alice"): Promise<string> =>
  told(await accounts.identify(await request(), { username, password }));

describe("who is asking", () => {
  it("is the account whose name and password, or token, are right", async () => {
    expect(await guess("right")).toBe("a-1");
    expect(await guess("wrong")).toBe("401");
    expect(await guess("right", "bob")).toBe("401");
    expect(await guess("right", "Alice")).toBe("401");
    expect(await bearer(token)).toBe("b-1");
    expect(await bearer(`${token}x`)).toBe("401");
    expect(told(await accounts.identify(await request()))).toBe("401");
  });

  it("is not told by a password without an end, in no longer a time", async () => {
    const started = performance.now();
    expect(await guess("x".repeat(1_000_000))).toBe("401");
    expect(await guess("")).toBe("401");
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("is told by the same number of hashes for an unknown name as for a wrong password", async () => {
    const time = async (username: string): Promise<number> => {
      const req = await request();
      const times: number[] = [];
      for (let i = 0; i < 5; i += 1) {
        source = `192.0.2.${i}`;
        const started = performance.now();
        await accounts.identify(req, { username, password: `wrong ${i}` });
        times.push(performance.now() - started);
      }
      return Math.min(...times);
    };
    const [known, unknown] = [await time("alice"), await time("nobody")];
    // A hash takes milliseconds, everything else a small part of one.
    expect(unknown).toBeGreaterThan(known / 3);
    expect(known).toBeGreaterThan(unknown / 3);
  });

  it("costs a hash once: what was right is remembered", async () => {
    const req = await request();
    await accounts.identify(req, { username: "alice", password: "right" });
    const started = performance.now();
    for (let i = 0; i < 200; i += 1) {
      expect(await accounts.identify(req, { username: "alice", password: "right" })).toEqual({ id: "a-1" });
    }
    // 200 hashes would take seconds.
    expect(performance.now() - started).toBeLessThan(500);
    expect(await guess("wrong")).toBe("401");
  });

  it("names the id behind a username, and a name that has none", () => {
    expect([accounts.ownerOf("alice"), accounts.ownerOf("carol")]).toEqual(["a-1", "carol"]);
    expect(accounts.canIdentify).toBe(true);
    expect(make({ accounts: [] }).canIdentify).toBe(false);
  });
});

describe("wrong credentials", () => {
  it("are limited from the 20th a minute and source on, and the right ones still get in", async () => {
    const answers: string[] = [];
    for (let i = 0; i < 25; i += 1) answers.push(await guess(`wrong ${i}`));
    expect(answers).toEqual([...Array<string>(19).fill("401"), ...Array<string>(6).fill("429")]);
    expect(await guess("right")).toBe("a-1");
    expect(await bearer("no")).toBe("429");
    expect(await bearer(token)).toBe("b-1");
    source = "192.0.2.2";
    expect(await guess("wrong")).toBe("401");
    source = "192.0.2.1";
    await clock.advance(60_000);
    expect(await guess("wrong")).toBe("401");
  }, 20_000);

  it("by the thousand at once cost few hashes, and another source's right one gets in meanwhile", async () => {
    const req = await request();
    const started = performance.now();
    const flood = Array.from({ length: 2_000 }, (_, i) =>
      accounts.identify(req, { username: "alice", password: `wrong ${i}` }),
    );
    source = "192.0.2.2";
    const right = accounts.identify(req, { username: "alice", password: "right" });
    expect(await right).toEqual({ id: "a-1" });
    const answers = (await Promise.all(flood)).map(told);
    expect(answers.filter((answer) => answer === "401").length).toBeLessThanOrEqual(19);
    expect(new Set(answers)).toEqual(new Set(["401", "429"]));
    // Ten hashes; two thousand would take minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
  }, 20_000);
});

it("limits an account's requests, whatever proves it and wherever it comes from, and no other's", async () => {
  accounts = make({ perAccount: { count: 2, windowMs: 60_000 } });
  expect([await guess("right"), await guess("right"), await guess("right")]).toEqual(["a-1", "a-1", "429"]);
  source = "192.0.2.2";
  expect(await guess("right")).toBe("429");
  expect(await bearer(token)).toBe("b-1");
  await clock.advance(30_000);
  expect(await guess("right")).toBe("a-1");
});

describe("a trusted header", () => {
  const header = (proxies: readonly string[]): Accounts =>
    make({ trustedHeader: { name: "X-User-Id", isTrusted: createPeerCheck(proxies) } });

  it.each([
    ["a trusted proxy's", ["127.0.0.0/8"], { "x-user-id": "user-7" }, "user-7"],
    ["a stranger's", ["10.0.0.0/8"], { "x-user-id": "user-7" }, "401"],
    [
      "a stranger's who claims to come from one",
      ["10.0.0.0/8"],
      { "x-user-id": "user-7", "x-forwarded-for": "10.0.0.1" },
      "401",
    ],
    ["an id that is none", ["127.0.0.1"], { "x-user-id": "two words" }, "401"],
    ["none, and a token", ["127.0.0.1"], { authorization: `Bearer ${token}` }, "b-1"],
  ])("%s", async (_what, proxies, headers, expected) => {
    expect(told(await header(proxies).identify(await request(headers)))).toBe(expected);
  });
});

describe("a JWT", () => {
  const claims = { iss: "https://id.example.org", aud: "push", sub: "user-7" };
  const pair = generateKeyPair("ES256");
  const other = generateKeyPair("ES256");
  const sign = async (
    more: Record<string, unknown> = {},
    { keys = pair, kid = "k1" }: { keys?: typeof pair; kid?: string } = {},
  ): Promise<string> =>
    new SignJWT({ ...claims, exp: clock.now() / 1000 + 600, ...more })
      .setProtectedHeader({ alg: "ES256", kid })
      .sign((await keys).privateKey);
  const keySet = async (keys = pair, kid = "k1") => ({
    keys: [{ ...(await exportJWK((await keys).publicKey)), kid, alg: "ES256" }],
  });
  const verifier = async () =>
    createJwtVerifier({ issuer: claims.iss, audience: "push", clock, keys: { keys: await keySet() } });

  it("names the account by its subject", async () => {
    const from = make({ accounts: [], jwt: await verifier() });
    expect(await bearer(await sign(), from)).toBe("user-7");
    expect(await bearer(await sign({ aud: ["other", "push"] }), from)).toBe("user-7");
  });

  it.each<[string, Record<string, unknown>]>([
    ["of another issuer", { iss: "https://evil.example" }],
    ["for another audience", { aud: "mail" }],
    ["that has expired", { exp: 1 }],
    ["that never expires", { exp: undefined }],
    ["that is not valid yet", { nbf: 4e9 }],
    ["without a subject", { sub: undefined }],
    ["with a subject that is no id", { sub: "two words" }],
  ])("%s is refused", async (_what, more) => {
    expect(await bearer(await sign(more), make({ jwt: await verifier() }))).toBe("401");
  });

  it("that is signed by somebody else, or not at all, is refused", async () => {
    const from = make({ jwt: await verifier() });
    expect(await bearer(await sign({}, { keys: other }), from)).toBe("401");
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    expect(await bearer(`${part({ alg: "none" })}.${part(claims)}.`, from)).toBe("401");
    const secret = new TextEncoder().encode(JSON.stringify(await keySet()));
    const symmetric = await new SignJWT({ ...claims, exp: 4e9 })
      .setProtectedHeader({ alg: "HS256" })
      .sign(secret);
    expect(await bearer(symmetric, from)).toBe("401");
    expect(await bearer("x".repeat(9000), from)).toBe("401");
  });

  describe("whose issuer publishes its keys", () => {
    let fetched: number;
    let answer: () => Promise<string | undefined>;
    const remote = (): Accounts =>
      make({
        jwt: createJwtVerifier({
          issuer: claims.iss,
          audience: "push",
          clock,
          keys: {
            url: "https://id.example.org/jwks",
            fetch: async () => {
              fetched += 1;
              return answer();
            },
          },
        }),
      });
    beforeEach(() => {
      fetched = 0;
      answer = async () => JSON.stringify(await keySet());
    });

    it("is checked with keys that are fetched once", async () => {
      const from = remote();
      for (let i = 0; i < 5; i += 1) expect(await bearer(await sign(), from)).toBe("user-7");
      for (let i = 0; i < 5; i += 1)
        expect(await bearer(await sign({}, { kid: `k${i + 2}` }), from)).toBe("401");
      expect(fetched).toBe(1);
    });

    it("is told to come back while the keys cannot be had, and the issuer is asked now and then", async () => {
      const from = remote();
      answer = async () => undefined;
      expect(await bearer(await sign(), from)).toBe("503");
      answer = () => Promise.reject(new Error("no way"));
      expect(await bearer(await sign(), from)).toBe("503");
      expect(fetched).toBe(1);
      answer = async () => JSON.stringify(await keySet());
      await clock.advance(5_000);
      expect(await bearer(await sign(), from)).toBe("user-7");
      expect(fetched).toBe(2);
    });

    it("is refused or told to come back where what is fetched are no keys", async () => {
      const from = remote();
      answer = async () => "<html>";
      expect(["401", "503"]).toContain(await bearer(await sign(), from));
    });
  });
});
