import { fuzzHttp2 } from "../../fuzz/http2.ts";

describe("a hostile peer", () => {
  it("neither breaks the lean client nor makes it lose a stream, in some thousand conversations", async () => {
    const { failures, ends } = await fuzzHttp2(20_261_125, 4000);
    expect(failures).toEqual([]);
    // The cases are of use: they go wrong in all the ways, and often enough they do not.
    for (const how of [
      "alive",
      "PROTOCOL_ERROR",
      "COMPRESSION_ERROR",
      "FRAME_SIZE_ERROR",
      "FLOW_CONTROL_ERROR",
    ])
      expect([how, (ends[how] ?? 0) >= 10]).toEqual([how, true]);
  });
});
