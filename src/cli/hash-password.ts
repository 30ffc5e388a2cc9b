import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Command } from "commander";
import { hashPassword, MAX_PASSWORD_BYTES } from "../http/password-hash.ts";

/** What the command reads and writes; the process's own when it is run. */
export interface HashPasswordIo {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Called once with 0 or 1. */
  readonly exit: (code: number) => void;
}

const processIo: HashPasswordIo = {
  stdin: process.stdin,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  exit: (code) => void (process.exitCode = code),
};

/** `signalbox hash-password`: reads a password and prints what the configuration keeps of it. */
export function hashPasswordCommand(io: HashPasswordIo = processIo): Command {
  return new Command("hash-password")
    .description("read one line, a password, and print the hash for registry.accounts")
    .addHelpText(
      "after",
      "\nThe password comes from standard input, never from the command line, where others could see it:" +
        "\n  printf %s 'the password' | signalbox hash-password > alice.hash" +
        "\nThe configuration takes the line as password_hash, or {file: alice.hash}.",
    )
    .action(async () => {
      if (io.stdin.isTTY === true) io.stderr("Password (it will be shown): ");
      const password = await firstLine(io.stdin);
      const problem = problemOf(password);
      if (problem === undefined) io.stdout(`${await hashPassword(password)}\n`);
      else io.stderr(`${problem}\n`);
      io.exit(problem === undefined ? 0 : 1);
    });
}

function problemOf(password: string): string | undefined {
  if (password === "") return "there is no password: the first line of standard input is empty";
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
    return `the password is longer than ${MAX_PASSWORD_BYTES} bytes`;
  return undefined;
}

async function firstLine(input: Readable): Promise<string> {
  const lines = createInterface({ input });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
  }
}
