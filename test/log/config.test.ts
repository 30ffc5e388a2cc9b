import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logFindings } from "../../src/log/config.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "signalbox-log-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const setup = (filename: string, kind = "logging.handlers.WatchedFileHandler") => ({
  version: 1,
  handlers: { file: { class: kind, filename } },
  root: { handlers: ["file"] },
});
const messages = async (of: unknown): Promise<readonly string[]> =>
  (await logFindings(of)).map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("what is amiss with log.setup", () => {
  it("is nothing for a file that is there or can be made", async () => {
    const there = join(directory, "there.log");
    writeFileSync(there, "");
    expect(await messages(setup(there))).toEqual([]);
    expect(await messages(setup(join(directory, "new.log")))).toEqual([]);
    expect(await messages(undefined)).toEqual([]);
  });

  it("is a file whose lines would be lost", async () => {
    const nowhere = join(directory, "no/such.log");
    const inFile = join(directory, "there.log/x.log");
    expect(await messages(setup(nowhere))).toEqual([
      `log.setup: the file ${nowhere} cannot be written (ENOENT): its lines would be lost`,
    ]);
    expect(await messages(setup(inFile))).toEqual([
      `log.setup: the file ${inFile} cannot be written (ENOTDIR): its lines would be lost`,
    ]);
  });

  it("is a part that has no effect, with its place", async () => {
    expect(await messages(setup("x", "logging.handlers.SysLogHandler"))).toEqual([
      "log.setup: handlers.file.class: not supported; the handler is ignored",
    ]);
  });
});
