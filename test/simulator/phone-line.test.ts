import type { JsonValue } from "../../src/json.ts";
import { phoneLine } from "../../src/simulator/phone-line.ts";
import type { RecordedAnswer, RecordedRequest } from "../../src/simulator/recorder.ts";

const ok: RecordedAnswer = { kind: "reply", status: 200 };

function line(
  upstream: "apns" | "fcm" | "oauth",
  payload: JsonValue,
  answer: RecordedAnswer = ok,
  accepted = true,
): string {
  const request: RecordedRequest = {
    sequence: 1,
    upstream,
    atMs: Date.UTC(2026, 10, 20, 12),
    connection: 1,
    method: "POST",
    path: "/",
    headers: {},
    body: "",
    payload,
    ...(upstream === "oauth" ? {} : { token: "0123456789abcdef" }),
    ...(upstream === "apns" ? { topic: "com.example.app" } : {}),
    answer,
    accepted,
  };
  return phoneLine(request);
}

describe("phoneLine", () => {
  it.each<[string, string, string]>([
    [
      "an alert",
      line("apns", { aps: { alert: { title: "Alice", body: "Hello" }, badge: 3 } }),
      "apns  0123456789ab…  com.example.app: Alice: Hello [badge 3]",
    ],
    [
      "an alert's text and custom keys",
      line("apns", { aps: { alert: "Hello" }, room: "!r" }),
      'apns  0123456789ab…  com.example.app: Hello {"room":"!r"}',
    ],
    [
      "a silent push",
      line("apns", { aps: { "content-available": 1 } }),
      'apns  0123456789ab…  com.example.app: {"content-available":1}',
    ],
    ["data", line("fcm", { message: { data: { a: "b" } } }), 'fcm   0123456789ab…  {"a":"b"}'],
    [
      "a notification",
      line("fcm", { message: { notification: { title: "T", body: "B" } } }),
      "fcm   0123456789ab…  T: B",
    ],
    [
      "a refusal",
      line("apns", {}, { kind: "reply", status: 410, reason: "Unregistered" }, false),
      "apns  0123456789ab…  410 Unregistered",
    ],
    [
      "a lost answer",
      line("fcm", { message: { data: {} } }, { kind: "hang" }),
      "fcm   0123456789ab…  {} (answered: hang)",
    ],
    ["an access token", line("oauth", {}, ok, false), "oauth -  200"],
  ])("shows %s", (_name, shown, expected) => {
    expect(shown).toBe(`2026-11-20T12:00:00.000Z ${expected}`);
  });

  it("is one line that cannot steer the terminal, and not a long one", () => {
    const shown = line("apns", { aps: { alert: `\u001b[31mred\u001b[0m\nnext\u202e${"x".repeat(500)}` } });
    expect(shown).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(shown.length).toBeLessThan(260);
  });
});
