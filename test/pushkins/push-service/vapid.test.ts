import { Vapid, vapidSubject } from "../../../src/pushkins/push-service/vapid.ts";
import { readVapid } from "../../../src/simulator/webpush-crypto.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { vapidKeyPair } from "./fixture.ts";

const HOUR_MS = 60 * 60 * 1_000;

function make() {
  const key = vapidKeyPair();
  // The signing library compares with the machine's time.
  const clock = createFakeClock(Date.now() - 48 * HOUR_MS);
  return { key, clock, vapid: new Vapid(key, "mailto:ops@example.com", clock) };
}

describe("the VAPID header", () => {
  it("is a signed token for the origin, of twelve hours, with the public key", () => {
    const { key, clock, vapid } = make();
    expect(readVapid(vapid.header("https://push.example.net"))).toEqual({
      aud: "https://push.example.net",
      exp: Math.floor(clock.now() / 1_000) + 12 * 60 * 60,
      sub: "mailto:ops@example.com",
      key: key.publicKey,
    });
    expect(key.publicKey).toHaveLength(87);
  });

  it("is made once for an origin, and again at half its life", async () => {
    const { clock, vapid } = make();
    const first = vapid.header("https://a.example");
    expect(vapid.header("https://b.example")).not.toBe(first);
    await clock.advance(6 * HOUR_MS - 1);
    expect(vapid.header("https://a.example")).toBe(first);
    await clock.advance(1);
    expect(vapid.header("https://a.example")).not.toBe(first);
  });

  it("is new after it was refused, once for all who were refused with it", () => {
    const { vapid } = make();
    const first = vapid.header("https://a.example");
    vapid.invalidate("https://a.example", first);
    const second = vapid.header("https://a.example");
    // ECDSA draws a new number for each signature.
    expect(second).not.toBe(first);
    vapid.invalidate("https://a.example", first);
    expect(vapid.header("https://a.example")).toBe(second);
  });

  it("is new when the clock was set back by a day", () => {
    const { clock, vapid } = make();
    const first = vapid.header("https://a.example");
    clock.setWallClock(clock.now() - 24 * HOUR_MS);
    expect(vapid.header("https://a.example")).not.toBe(first);
  });

  it("is kept for a thousand origins, the least used goes first", () => {
    const { vapid } = make();
    const kept = vapid.header("https://kept.example");
    const old = vapid.header("https://old.example");
    for (let i = 0; i < 998; i += 1) vapid.header(`https://n${i}.example`);
    expect(vapid.header("https://kept.example")).toBe(kept);
    vapid.header("https://one-more.example");
    expect(vapid.header("https://kept.example")).toBe(kept);
    expect(vapid.header("https://old.example")).not.toBe(old);
  });

  it.each([
    ["ops@example.com", "mailto:ops@example.com"],
    [" ops@example.com\n", "mailto:ops@example.com"],
    ["mailto:ops@example.com", "mailto:ops@example.com"],
    ["mailto: ops@example.com", "mailto:ops@example.com"],
    ["https://example.com/contact", "https://example.com/contact"],
  ])("names %j as %s", (contact, subject) => {
    expect(vapidSubject(contact)).toBe(subject);
  });
});
