import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Case } from "./case.ts";
import { compare } from "./compare.ts";
import { generatedCases } from "./corpus/index.ts";
import { readSection } from "./moving-page.ts";
import { judge, type Judged } from "./rules/index.ts";
import { signalbox } from "./side.ts";
import { WebPushSimulator } from "../../../src/simulator/webpush.ts";
import { createCredentials } from "../../../src/simulator/credentials.ts";

/** The rows whose requests wait for a time limit; the command asks them too. */
const waiting = ["10.1/12", "10.2/26"];
const isQuick = ({ row }: Case): boolean => !waiting.includes(row);

/** What two runs of the same differ in: when a push ends. */
const ofTheMoment = /: (header apns-expiration|payload \/message\/android\/ttl)$/;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-compare-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const strange = (judged: readonly Judged[]): readonly string[] =>
  judged.flatMap(({ request, unexpected }) =>
    unexpected.map(({ what, place }) => `${request.row} ${request.title}: ${what} ${place}`),
  );

describe("the comparison", () => {
  it("finds no difference to the notes on Sygnal that no rule names", async () => {
    const judged = await compare({ kind: "notes" }, join(directory, "notes"), isQuick);
    expect(strange(judged)).toEqual([]);
    expect(judged.length).toBeGreaterThan(600);
  }, 60_000);

  it("finds none at all between a Signalbox and another, both started as Sygnal is", async () => {
    const counterpart = { kind: "program", program: signalbox } as const;
    const judged = await compare(
      counterpart,
      join(directory, "itself"),
      (request) => isQuick(request) && request.row.startsWith("10.2/"),
    );
    expect(strange(judged).filter((each) => !ofTheMoment.test(each))).toEqual([]);
    expect(judged.flatMap(({ fired }) => fired.map(({ name }) => name))).toEqual([]);
    expect(judged.length).toBeGreaterThan(100);
  }, 60_000);

  it("has at least five requests for each row of matrix-push 10.1 to 10.3, and 300 in all", async () => {
    const webPush = await WebPushSimulator.start({ credentials: createCredentials() });
    const cases = generatedCases({ webPush });
    await webPush.stop();
    const rows = Array.from({ length: 53 }, (_, index) => index + 1);
    const section = (row: number): string => (row <= 16 ? "10.1" : row <= 40 ? "10.2" : "10.3");
    const thin = rows.filter(
      (row) => cases.filter((each) => each.row === `${section(row)}/${row}`).length < 5,
    );
    expect(thin).toEqual([]);
    expect(cases.length).toBeGreaterThanOrEqual(300);
  });

  it("has its result in the page about moving", async () => {
    expect(await readSection()).toMatch(/Of \d+ requests \d+ came to the same.* and 0 to something else/s);
  });
});

describe("a difference that no rule names is unexpected", () => {
  const request: Case = {
    row: "10.3/46",
    title: "made up",
    wire: {
      method: "POST",
      path: "/",
      version: "1.1",
      headers: {},
      body: Buffer.from("{}"),
      sender: "waits",
    },
  };
  const answer = (status: number, body: string) =>
    ({ kind: "answer", status, contentType: "application/json", body }) as const;
  const well = answer(200, '{"rejected":[]}');
  const push = {
    upstream: "apns",
    token: "aa",
    headers: { "apns-priority": "10" },
    payload: { aps: { badge: 1 } },
  } as const;

  it.each([
    ["another status", { answer: answer(502, "{}"), sent: [push] }, "status"],
    ["a pushkey rejected", { answer: answer(200, '{"rejected":["x"]}'), sent: [push] }, "rejected"],
    ["a push lost", { answer: well, sent: [] }, "pushes"],
    ["a push too many", { answer: well, sent: [push, push] }, "pushes"],
    ["another header", { answer: well, sent: [{ ...push, headers: { "apns-priority": "5" } }] }, "header"],
    ["another payload", { answer: well, sent: [{ ...push, payload: { aps: { badge: 2 } } }] }, "payload"],
    ["a field lost", { answer: well, sent: [{ ...push, payload: { aps: {} } }] }, "payload"],
  ])("%s", (_title, ours, what) => {
    const { unexpected } = judge(request, { theirs: { answer: well, sent: [push] }, ours });
    expect(unexpected.map((each) => each.what)).toContain(what);
  });

  it("and the same is none", () => {
    const same = { answer: well, sent: [push] };
    expect(judge(request, { theirs: same, ours: same })).toMatchObject({ fired: [], unexpected: [] });
  });
});
