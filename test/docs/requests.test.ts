import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startGateway, type RunningGateway } from "../support/with-gateway.ts";
import { blocks, commandLines, page } from "./printed.ts";

/*
 * The requests of the pages about softphones and devices, sent by the shell as they are printed, with the gateway's
 * address in place of the example's; the hashes and keys that the pages have made come from the pages' commands.
 */
const bin = fileURLToPath(new URL("../../bin/signalbox.js", import.meta.url));
const ALICE = "9aed5e94-3803-11e3-8475-0024e8f90cc0";

const lines = (name: string): readonly string[] =>
  blocks(page(name), ["sh"]).flatMap(({ text }) => commandLines(text));
const setUps = lines("docs/device-registry.md").filter((line) => !line.startsWith("curl "));
const requests = ["docs/softphone.md", "docs/device-registry.md"].flatMap((name) =>
  lines(name)
    .filter((line) => line.startsWith("curl "))
    .map((line) => [name, line] as const),
);

let directory: string;
let gateway: RunningGateway;
let origin: string;

/** Runs a line in the directory, `npx signalbox` being ours; gives what it printed. */
async function shell(line: string): Promise<string> {
  const script = `set -euo pipefail
npx() { shift; "$NODE" "$BIN" "$@"; }
curl() { command curl --silent --show-error --max-time 10 --write-out '\\n%{http_code}' "$@"; }
${line.replaceAll("https://push.example.com", origin)}`;
  const child = spawn("bash", ["--norc", "-c", script], {
    cwd: directory,
    env: { PATH: process.env["PATH"], NODE: process.execPath, BIN: bin },
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (printed += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  expect([printed, code]).toEqual([printed, 0]);
  return printed;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "signalbox-printed-"));
  origin = "";
  let tokenHash = "";
  for (const line of setUps) {
    const printed = await shell(line);
    tokenHash = /^([0-9a-f]{64}) /.exec(printed)?.[1] ?? tokenHash;
  }
  // The page shows the hash of the very token that it shows.
  expect(page("docs/device-registry.md").text).toContain(`sha256:${tokenHash}`);
  for (const name of ["pbx.key", "event.key"]) await shell(`openssl rand -base64 32 > ${name}`);
  const file = (name: string): object => ({ file: join(directory, name) });
  gateway = await startGateway({
    config: {
      softphone: { api_keys: [file("pbx.key")] },
      registry: {
        accounts: [
          { id: ALICE, username: "alice", password_hash: file("alice.hash") },
          { id: "52a9fd3c-8aad-11e0-9138-0024e8f90cc0", token_hash: `sha256:${tokenHash}` },
        ],
        event_keys: [file("event.key")],
        fcm_app: "com.example.android",
      },
    },
    apps: (base) => ({
      "com.example.ios": { ...base.ios, topic: "com.example.ios" },
      "com.example.softphone": base.ios,
    }),
  });
  origin = new URL(gateway.url).origin;
}, 30_000);
afterAll(async () => {
  await gateway?.stop();
  await rm(directory, { recursive: true, force: true });
});

it("finds the requests, and keys as the pages make them", async () => {
  expect(setUps).toHaveLength(2);
  expect(requests.length).toBeGreaterThanOrEqual(10);
  expect(await readFile(join(directory, "alice.hash"), "utf8")).toMatch(/^scrypt:/);
});

it.each(requests)("%s: %s", async (_page, line) => {
  const printed = await shell(line);
  expect(printed).toMatch(/\n200$/);
  // A page shows what becomes of an element of a list that is no message.
  const refused = printed.match(/"status":[45]\d\d/g) ?? [];
  expect(refused).toHaveLength(line.includes(", null]") ? 1 : 0);
});

it("they have done what the pages say", async () => {
  const kinds = gateway.simulators.recorder.requests.filter(({ accepted }) => accepted);
  // A message by each of the softphone's three forms.
  expect(kinds.filter(({ upstream }) => upstream === "apns")).toHaveLength(3);
  await writeFile(join(directory, "wrong.key"), "no key");
  const [, wrong = ""] = requests[0] ?? [];
  expect(await shell(wrong.replace("pbx.key", "wrong.key"))).toMatch(/\n401$/);
});
