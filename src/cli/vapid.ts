import { generateKeyPairSync } from "node:crypto";
import { open } from "node:fs/promises";
import { Command } from "commander";
import { parseVapidKey, readVapidKey, type VapidKey } from "../pushkins/push-service/vapid-key.ts";
import { errorCode } from "../upstream/net-error.ts";

/** What the command writes to; the process's own when it is run. */
export interface VapidIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Called once with 0 or 1. */
  readonly exit: (code: number) => void;
}

const processIo: VapidIo = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  exit: (code) => void (process.exitCode = code),
};

/** `signalbox vapid`: makes the key that a web app's subscriptions are bound to, or shows the public part of one. */
export function vapidCommand(io: VapidIo = processIo): Command {
  return new Command("vapid")
    .description("make a VAPID key for Web Push, or show the public key of one")
    .option("-o, --out <file>", "where to write a new private key", "vapid.pem")
    .option("-k, --key <file>", "show the public key of this private key instead")
    .addHelpText(
      "after",
      "\nThe public key is what a web app passes to pushManager.subscribe as applicationServerKey. Its subscriptions" +
        "\ntake pushes of this key alone: whoever loses the private key loses them all. An existing file is kept.",
    )
    .action(async (flags: { out: string; key?: string }) => {
      const result = flags.key === undefined ? await makeKey(flags.out) : await showKey(flags.key);
      if ("problem" in result) io.stderr(`${result.problem}\n`);
      else io.stdout(result.text);
      io.exit("problem" in result ? 1 : 0);
    });
}

type Result = { readonly text: string } | { readonly problem: string };

async function showKey(path: string): Promise<Result> {
  const key = await readVapidKey(path);
  return "problem" in key ? { problem: `${path}: ${key.problem}` } : { text: `${key.publicKey}\n` };
}

async function makeKey(path: string): Promise<Result> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const key = parseVapidKey(pem);
  if ("problem" in key) throw new Error("a new key that cannot be read");
  try {
    // Fails when there is one: it may be the one that all subscriptions depend on.
    const file = await open(path, "wx", 0o600);
    await file.writeFile(pem).finally(() => file.close());
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST")
      return { problem: `${path}: exists, and is kept; --key ${path} shows its public key` };
    return { problem: `${path}: cannot be written (${code ?? "unknown error"})` };
  }
  return { text: howToUse(path, key) };
}

function howToUse(path: string, { publicKey }: VapidKey): string {
  return [
    `private key  ${path}`,
    `public key   ${publicKey}`,
    "",
    "In sygnal.yaml:",
    "  vapid_private_key: " + path,
    "  vapid_contact_email: ops@example.com",
    "",
    "In the web app:",
    `  registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: "${publicKey}" })`,
    "",
  ].join("\n");
}
