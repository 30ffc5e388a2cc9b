import { createPrivateKey, createPublicKey, verify } from "node:crypto";
import type { JsonObject } from "../../../src/json.ts";
import { ProviderToken, type ConnectionToken } from "../../../src/pushkins/apns/provider-token.ts";
import { readJws } from "../../../src/simulator/provider-token.ts";
import { NOON, push } from "../../support/builders.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { credentials, openApns, PUSHKEY, sendWith, until, type ApnsRig } from "./rig.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const { keyId, teamId, keyPem } = credentials().apnsKey;

function create(clock: FakeClock): ProviderToken {
  return new ProviderToken({ key: createPrivateKey(keyPem), keyId, teamId, clock });
}

/** The token for this connection's next push, as the client asks for it. */
async function next(token: ProviderToken, connection: ConnectionToken): Promise<string> {
  await token.refresh();
  return token.adopt(connection);
}

describe("a provider token (apns.md 4)", () => {
  it("is a JWT that the key's public half verifies, with kid, iss and iat and nothing more", async () => {
    const clock = createFakeClock();
    const jwt = await next(create(clock), {});
    let header: JsonObject = {};
    const claims = readJws(jwt, (found, data, signature) => {
      header = found;
      const key = createPublicKey(keyPem);
      return verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature);
    });
    expect(header).toEqual({ alg: "ES256", kid: keyId });
    expect(claims).toEqual({ iss: teamId, iat: Math.floor(clock.now() / 1_000) });
  });

  it("is signed once however many ask at once", async () => {
    const token = create(createFakeClock());
    const jwts = await Promise.all(Array.from({ length: 100 }, () => next(token, {})));
    expect(new Set(jwts).size).toBe(1);
  });

  it("is signed anew after 35 minutes and not before", async () => {
    const clock = createFakeClock();
    const token = create(clock);
    const first = await next(token, {});
    await clock.advance(35 * MINUTE - 1);
    expect(await next(token, {})).toBe(first);
    await clock.advance(1);
    expect(await next(token, {})).not.toBe(first);
  });

  it("a connection keeps its token for 20 minutes after its last change", async () => {
    const clock = createFakeClock();
    const token = create(clock);
    const connection: ConnectionToken = {};
    await token.refresh();
    await clock.advance(34 * MINUTE);
    const first = await next(token, connection);
    await clock.advance(MINUTE);
    const second = await next(token, {});
    expect(second).not.toBe(first);
    await clock.advance(19 * MINUTE - 1);
    expect(await next(token, connection)).toBe(first);
    await clock.advance(1);
    expect(await next(token, connection)).toBe(second);
  });

  it("never lets a connection break either limit, whenever it was opened and however often it is used", async () => {
    const clock = createFakeClock();
    const token = create(clock);
    const connections: { state: ConnectionToken; jwt: string; sinceMs: number }[] = [];
    for (let minute = 0; minute < 6 * 60; minute += 1) {
      if (minute % 7 === 0) connections.push({ state: {}, jwt: "", sinceMs: -Infinity });
      for (const connection of connections) {
        const jwt = await next(token, connection.state);
        const iat = (readJws(jwt, () => true)?.["iat"] ?? 0) as number;
        expect(clock.now() - iat * 1_000).toBeLessThan(HOUR);
        if (jwt === connection.jwt) continue;
        expect(clock.now() - connection.sinceMs).toBeGreaterThanOrEqual(20 * MINUTE);
        Object.assign(connection, { jwt, sinceMs: clock.now() });
      }
      await clock.advance(MINUTE);
    }
  });

  it("renewing is done once for all whose token was refused, and not for one that is newer", async () => {
    const token = create(createFakeClock());
    const refused = await next(token, {});
    await Promise.all(Array.from({ length: 50 }, () => token.renew(refused)));
    const renewed = await next(token, {});
    expect(renewed).not.toBe(refused);
    await token.renew(refused);
    expect(await next(token, {})).toBe(renewed);
  });

  it.each([
    ["forward, as after a machine's sleep of five hours", 5 * HOUR],
    ["back by two hours, as when it had been wrong", -2 * HOUR],
  ])("is signed anew when the wall clock jumps %s", async (_what, byMs) => {
    const clock = createFakeClock();
    const token = create(clock);
    const connection: ConnectionToken = {};
    const first = await next(token, connection);
    clock.setWallClock(clock.now() + byMs);
    const second = await next(token, connection);
    expect(second).not.toBe(first);
    expect(readJws(second, () => true)?.["iat"]).toBe(Math.floor(clock.now() / 1_000));
  });
});

describe("the provider token on the wire", () => {
  let rig: ApnsRig;
  beforeEach(async () => {
    rig = await openApns();
  });
  afterEach(() => rig.stop());

  const many = (count: number): Promise<string[]> =>
    Promise.all(
      Array.from(
        { length: count },
        async () => (await sendWith(rig.pushkin, push({ pushkey: PUSHKEY }))).outcome.kind,
      ),
    );
  const jwts = (): Set<string | undefined> =>
    new Set(rig.arrived().map(({ headers }) => headers["authorization"]));
  const refusals = (): readonly string[] =>
    Object.keys(rig.simulator.recorder.counts.answers).filter((answer) => answer !== "apns 200");

  it("UA06: a thousand pushes side by side use one token", async () => {
    const kinds = await many(1_000);
    expect(new Set(kinds)).toEqual(new Set(["delivered"]));
    expect(rig.requests()).toBe(1_000);
    expect(jwts().size).toBe(1);
  });

  it("two apps with the same key share one token; another team's app has its own", async () => {
    const sister = await rig.another({ topic: "com.example.other" });
    await rig.send();
    await sendWith(sister, push({ pushkey: PUSHKEY }));
    expect(rig.arrived().map(({ topic }) => topic)).toEqual(["com.example.app", "com.example.other"]);
    expect(jwts().size).toBe(1);
    const stranger = await rig.another({ team_id: "OTHERTEAM1" });
    await sendWith(stranger, push({ pushkey: PUSHKEY }));
    expect(jwts().size).toBe(2);
  });

  it("a day of pushes every five minutes is never refused, by one connection", async () => {
    for (let sent = 0; sent < 288; sent += 1) {
      expect((await rig.send()).outcome.kind).toBe("delivered");
      await rig.clock.advance(5 * MINUTE);
    }
    expect(refusals()).toEqual([]);
    expect(rig.simulator.connections.total).toBe(1);
    expect(jwts().size).toBeGreaterThanOrEqual(24);
    expect(jwts().size).toBeLessThanOrEqual(42);
  });

  it("a machine asleep for hours comes back with a new token, and no push is refused", async () => {
    await rig.send();
    rig.clock.setWallClock(rig.clock.now() + 3 * HOUR);
    expect((await rig.send({ expiresAtMs: rig.clock.now() + HOUR })).outcome.kind).toBe("delivered");
    expect(refusals()).toEqual([]);
    expect(jwts().size).toBe(2);
  });

  it("UA04: ExpiredProviderToken renews once on a new connection, and no caller sees it", async () => {
    await many(20);
    await rig.clock.advance(1_000);
    const before = rig.arrived()[0];
    rig.simulator.recorder.clear();
    rig.simulator.script.add({ answer: { kind: "error", reason: "ExpiredProviderToken" }, times: 50 });
    expect(new Set(await many(50))).toEqual(new Set(["delivered"]));
    const taken = rig.simulator.recorder.accepted;
    expect(taken).toHaveLength(50);
    expect(new Set(taken.map(({ headers }) => headers["authorization"])).size).toBe(1);
    expect(taken[0]?.headers["authorization"]).not.toBe(before?.headers["authorization"]);
    expect(taken.every(({ connection }) => connection !== before?.connection)).toBe(true);
    expect(rig.requests()).toBe(100);
  });

  it("UA20: with a clock that is three hours slow every push waits, loudly, and none is rejected", async () => {
    const late = await openApns({ simulator: { clock: createFakeClock(NOON + 3 * HOUR) } });
    try {
      const ended = late.send();
      await until(() => late.requests() === 1);
      await late.clock.advance(1_000);
      expect((await ended).outcome).toMatchObject({ kind: "retryable", reason: "credentials", alarm: true });
      expect(late.requests()).toBe(2);
    } finally {
      await late.stop();
    }
  });

  it("UA06: TooManyProviderTokenUpdates keeps the token and leaves the connection", async () => {
    await rig.send();
    const [before] = rig.arrived();
    await rig.clock.advance(1_000);
    rig.simulator.script.add({ answer: { kind: "error", reason: "TooManyProviderTokenUpdates" }, times: 1 });
    expect((await rig.send()).outcome.kind).toBe("delivered");
    await rig.clock.advance(19 * MINUTE);
    expect((await rig.send()).outcome.kind).toBe("delivered");
    expect(jwts().size).toBe(1);
    expect(rig.arrived().at(-1)?.connection).not.toBe(before?.connection);
  });
});
