import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Each test lays out an installation in a folder of its own: the real bin/, a small program in the gateway's place,
 * and where wanted a package with a "pinned" Node, which is a link to the Node that runs the test. An old Node is the
 * same one started with --import of a file that makes it claim an older version: no second Node is needed.
 */

const bin = fileURLToPath(new URL("../../bin/", import.meta.url));
const packageName = `node-linux-${process.arch}`;

let folder: string;
let children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "signalbox-bin-")));
  children = [];
  await put("package.json", '{"type":"module"}');
  await put(
    "as-old.js",
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.9.0" } });',
  );
  await mkdir(join(folder, "bin"));
  for (const file of ["signalbox.js", "runtime.js", "require-node.js"]) {
    await copyFile(join(bin, file), join(folder, "bin", file));
  }
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, maxRetries: 3 });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function installPinnedNode(version = "24.21.0"): Promise<void> {
  await put(`node_modules/${packageName}/package.json`, JSON.stringify({ name: packageName, version }));
  await mkdir(join(folder, "node_modules", packageName, "bin"));
  await symlink(process.execPath, join(folder, "node_modules", packageName, "bin", "node"));
}

function start(
  node: "old" | "new",
  args: readonly string[] = [],
  program = "bin/signalbox.js",
): ChildProcess {
  const options = node === "old" ? ["--import", join(folder, "as-old.js")] : [];
  // Without NODE_OPTIONS of the test run: they would reach the program too.
  const { NODE_OPTIONS: _options, ...env } = process.env;
  const child = spawn(process.execPath, [...options, join(folder, program), ...args], { cwd: folder, env });
  children.push(child);
  return child;
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

async function end(child: ChildProcess): Promise<End> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => (out += String(chunk)));
  child.stderr?.on("data", (chunk) => (err += String(chunk)));
  const [code, signal] = await once(child, "close");
  return { code, signal, out, err };
}

/** Resolves when the program has printed the line. */
async function printed(child: ChildProcess, line: string): Promise<void> {
  let text = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (chunk) => {
      text += String(chunk);
      if (text.split("\n").includes(line)) resolve();
    });
    child.once("close", () => reject(new Error(`ended without printing ${line}`)));
  });
}

const showsItself = `console.log(JSON.stringify({ version: process.versions.node, args: process.argv.slice(2), at: import.meta.url }));`;
const catchesSignals = `
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => console.log(signal));
  process.on("SIGHUP", () => process.exit(7));
  // Ends by itself where a test fails: the launcher is gone then, and nobody else knows this process.
  setTimeout(() => process.exit(99), 10_000);
  console.log("ready");
`;

describe("signalbox on a Node that is new enough", () => {
  it("runs the source in the same process", async () => {
    await put("src/main.ts", `const pid: number = process.pid; console.log(pid);`);
    await put("dist/main.js", `console.log("built");`);
    const child = start("new");
    const { code, out } = await end(child);
    expect([code, out.trim()]).toEqual([0, String(child.pid)]);
  });

  it("runs what was built where there is no source, and passes arguments and the exit code", async () => {
    await put("dist/main.js", `${showsItself} process.exitCode = 3;`);
    const { code, out } = await end(start("new", ["serve", "--config", "a b.yaml"]));
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({
      args: ["serve", "--config", "a b.yaml"],
      version: process.versions.node,
    });
    expect(JSON.parse(out).at).toContain("/dist/main.js");
  });
});

const onLinux = process.platform === "linux" ? describe : describe.skip;
onLinux("signalbox on an old Node", () => {
  it("runs in the Node that npm installed beside it, with the same arguments, streams and exit code", async () => {
    await installPinnedNode();
    await put(
      "dist/main.js",
      `${showsItself} console.error("on stderr"); process.stdin.pipe(process.stdout); process.exitCode = 3;`,
    );
    const child = start("old", ["check", "--config", "a b.yaml"]);
    child.stdin?.end("from stdin");
    const { code, signal, out, err } = await end(child);
    expect([code, signal, err]).toEqual([3, null, "on stderr\n"]);
    const [first = "", second] = out.split("\n");
    expect(JSON.parse(first)).toMatchObject({
      version: process.versions.node,
      args: ["check", "--config", "a b.yaml"],
    });
    expect(second).toBe("from stdin");
  });

  it("passes on signals, the second SIGTERM as well, and the exit code", async () => {
    await installPinnedNode();
    await put("src/main.ts", catchesSignals);
    const child = start("old");
    await printed(child, "ready");
    for (const signal of ["SIGINT", "SIGTERM", "SIGTERM"] as const) {
      const seen = printed(child, signal);
      child.kill(signal);
      await seen;
    }
    const ended = end(child);
    child.kill("SIGHUP");
    expect(await ended).toMatchObject({ code: 7, signal: null, out: "SIGHUP\n" });
  });

  it("ends by the signal that ended the gateway", async () => {
    await installPinnedNode();
    await put("src/main.ts", `process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);`);
    expect(await end(start("old"))).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it.each([
    ["there is none", undefined],
    ["that is too old as well", "22.1.0"],
  ])("asks for a newer one in one line when %s", async (_title, version) => {
    if (version !== undefined) await installPinnedNode(version);
    await put("src/main.ts", showsItself);
    expect(await end(start("old"))).toEqual({
      code: 1,
      signal: null,
      out: "",
      err: "signalbox needs Node 24 or newer, and this is Node 20.9.0: install it from https://nodejs.org\n",
    });
  });
});

describe("the check before npm test", () => {
  it("says in one line that Node is too old", async () => {
    const { code, err } = await end(start("old", [], "bin/require-node.js"));
    expect([code, err]).toEqual([
      1,
      "npm test needs Node 24 or newer, and this is Node 20.9.0: install it from https://nodejs.org\n",
    ]);
  });

  it("says nothing otherwise", async () => {
    expect(await end(start("new", [], "bin/require-node.js"))).toMatchObject({ code: 0, out: "", err: "" });
  });
});
