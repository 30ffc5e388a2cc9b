import { spawnSync } from "node:child_process";
import { PassThrough, Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { streamSink } from "../../src/log/sink.ts";

function collector() {
  const writes: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      writes.push(String(chunk));
      done();
    },
  });
  return { stream, writes };
}

describe("a sink that gathers", () => {
  it("writes the lines of one turn of the event loop at once, in their order", async () => {
    const { stream, writes } = collector();
    const sink = streamSink(stream, 1000, true);
    sink.write("one\n");
    sink.write("two\n");
    expect(writes).toEqual([]);
    await nextTurn();
    sink.write("three\n");
    await nextTurn();
    expect(writes).toEqual(["one\ntwo\n", "three\n"]);
    await sink.close();
  });

  it("drops and counts what is more than may wait, gathered lines included", async () => {
    const { stream, writes } = collector();
    const sink = streamSink(stream, 10, true);
    for (const line of ["1234\n", "5678\n", "9\n"]) sink.write(line);
    expect(sink.dropped()).toBe(1);
    await sink.close();
    expect(writes).toEqual(["1234\n5678\n"]);
  });

  it("counts gathered lines as dropped when the stream has gone meanwhile", async () => {
    const stream = new PassThrough();
    const sink = streamSink(stream, 1000, true);
    sink.write("one\n");
    sink.write("two\n");
    stream.destroy();
    await nextTurn();
    expect(sink.dropped()).toBe(2);
    await sink.close();
  });

  it("loses no line of a process that exits at once, nor hears of the exit after it was closed", async () => {
    const before = process.listenerCount("exit");
    const { stream } = collector();
    const sink = streamSink(stream, 1000, true);
    await sink.close();
    expect(process.listenerCount("exit")).toBe(before);

    const log = new URL("../../src/log/create-log.ts", import.meta.url).href;
    const program = `const { createLog } = await import(${JSON.stringify(log)});
      createLog().warn("the last line");
      process.exit(3);`;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
    });
    expect(status).toBe(3);
    expect(stderr).toContain("the last line");
  });
});
