import { goawayReason, streamVerdict, type StreamFacts } from "../../src/upstream/stream-verdict.ts";

const plain: StreamFacts = {
  streamId: 9,
  rstCode: 0,
  failure: undefined,
  goaway: undefined,
  ended: undefined,
  wireGone: false,
};

describe("a stream that closed without an answer", () => {
  it.each<[string, Partial<StreamFacts>]>([
    [
      "never had an id",
      { streamId: undefined, failure: { class: "protocol", detail: "ERR_HTTP2_GOAWAY_SESSION" } },
    ],
    [
      "never had an id, on a destroyed session",
      { streamId: undefined, wireGone: true, ended: "no-ping-ack" },
    ],
    ["was reset with REFUSED_STREAM", { rstCode: 7 }],
    [
      "was reset with REFUSED_STREAM below a graceful GOAWAY's last id",
      { rstCode: 7, goaway: { code: 0, lastStreamId: 99 } },
    ],
    ["is above a graceful GOAWAY's last id", { rstCode: 7, goaway: { code: 0, lastStreamId: 7 } }],
    [
      "is above an error GOAWAY's last id",
      { rstCode: 2, goaway: { code: 2, lastStreamId: 7 }, wireGone: true },
    ],
    [
      "is above the last id, and we closed the connection",
      { goaway: { code: 0, lastStreamId: 7 }, ended: "no-ping-ack" },
    ],
  ])("that %s is refused", (_, facts) => {
    expect(streamVerdict({ ...plain, ...facts })).toEqual({ kind: "refused" });
  });

  it.each<[string, Partial<StreamFacts>, { reason: string; detail?: string }]>([
    ["ended in order", {}, { reason: "stream-reset", detail: "NO_ERROR" }],
    ["was reset with CANCEL", { rstCode: 8 }, { reason: "stream-reset", detail: "CANCEL" }],
    ["was reset with INTERNAL_ERROR", { rstCode: 2 }, { reason: "stream-reset", detail: "INTERNAL_ERROR" }],
    ["was reset with a code of the future", { rstCode: 99 }, { reason: "stream-reset", detail: "UNKNOWN" }],
    ["was reset with ENHANCE_YOUR_CALM", { rstCode: 11 }, { reason: "calm" }],
    [
      "is the GOAWAY's last one",
      { rstCode: 2, goaway: { code: 2, lastStreamId: 9 }, wireGone: true },
      { reason: "goaway", detail: "INTERNAL_ERROR" },
    ],
    // Node ends all streams with the GOAWAY's code, and this one says REFUSED_STREAM of what was processed.
    [
      "is below a GOAWAY whose code is 7",
      { rstCode: 7, goaway: { code: 7, lastStreamId: 11 }, wireGone: true },
      { reason: "goaway", detail: "REFUSED_STREAM" },
    ],
    [
      "is below a GOAWAY with a reason",
      { rstCode: 2, goaway: { code: 2, lastStreamId: 11, reason: "Shutdown" } },
      { reason: "goaway", detail: "Shutdown" },
    ],
    [
      "was on a connection that we destroyed",
      { rstCode: 7, ended: "no-ping-ack", wireGone: true },
      { reason: "no-ping-ack" },
    ],
    [
      "was on a reset connection",
      { rstCode: 2, failure: { class: "reset", detail: "ECONNRESET" }, wireGone: true },
      { reason: "reset", detail: "ECONNRESET" },
    ],
    [
      "was on a closed connection, with REFUSED_STREAM made up",
      { rstCode: 7, wireGone: true },
      { reason: "closed" },
    ],
    ["was on a cut connection: Node says CANCEL", { rstCode: 8, wireGone: true }, { reason: "closed" }],
  ])("that %s is lost", (_, facts, expected) => {
    expect(streamVerdict({ ...plain, ...facts })).toEqual({ kind: "lost", ...expected });
  });
});

describe("a GOAWAY's debug data", () => {
  it.each([
    ['{"reason":"BadCertificateEnvironment"}', "BadCertificateEnvironment"],
    ['{"reason":"Shutdown","timestamp":1}', "Shutdown"],
    ["session_timeout", "session_timeout"],
    ["", undefined],
    ["{}", undefined],
    ['{"reason":7}', undefined],
    ['{"reason":"two words and a token abcdef"}', undefined],
    ['{"reason":', undefined],
    ["null", "null"],
    ["x".repeat(65), undefined],
    [`{"reason":"A","x":"${"y".repeat(2000)}"}`, undefined],
    ["line\nfeed", undefined],
  ])("%j gives %s", (text, reason) => {
    expect(goawayReason(Buffer.from(text))).toBe(reason);
  });

  it("may be missing", () => {
    expect(goawayReason(undefined)).toBeUndefined();
  });
});
