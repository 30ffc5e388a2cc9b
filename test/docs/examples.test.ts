import { randomBytes } from "node:crypto";
import { parse, stringify } from "yaml";
import { loadConfig, type Loaded } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { hashPassword } from "../../src/http/password-hash.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { createCredentials, type Credentials } from "../support/credentials.ts";
import { blocks, pages } from "./printed.ts";

/*
 * Every YAML example of the pages passes `check`: parts of a file are completed by an app of each type, the files that
 * they name are made, and where a page leaves something out (…) a real one stands in.
 */
type Tree = { [key: string]: unknown };

const examples = pages
  .flatMap((page) => blocks(page, ["yaml", "yml"]))
  .map(({ place, text }) => [place, text] as const);
let files: Credentials;
let passwordHash: string;

beforeAll(async () => {
  files = createCredentials();
  passwordHash = await hashPassword("the password");
});
afterAll(() => files.remove());

/** What a key's file holds. */
function contentFor(key: string): string {
  switch (key) {
    case "keyfile":
    case "vapid_private_key":
      return files.p256();
    case "certfile": {
      const { cert, key: privateKey } = files.certificate();
      return cert + privateKey;
    }
    case "service_account_file":
      return files.serviceAccount();
    case "password_hash":
      return passwordHash;
    default:
      return randomBytes(32).toString("base64");
  }
}

let made = 0;
/** The example with files that are there. */
function withFiles(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) return value.map((each) => withFiles(each, key));
  if (typeof value === "string") {
    const isFile = /^(?:keyfile|certfile|service_account_file|vapid_private_key)$/.test(key);
    if (isFile) return files.write(`${(made += 1)}-${key}`, contentFor(key));
    return value === "sha256:…" ? `sha256:${"0".repeat(64)}` : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as Tree);
  if (entries.length === 1 && entries[0]?.[0] === "file") {
    return { file: files.write(`${(made += 1)}-${key}`, contentFor(key)) };
  }
  return Object.fromEntries(entries.map(([name, each]) => [name, withFiles(each, name)]));
}

/** An app for a part that has none: the one that it names, or any. */
function completed(tree: Tree): Tree {
  if (tree["apps"] !== undefined) return tree;
  const named = (tree["registry"] as Tree | undefined)?.["fcm_app"];
  const app = {
    type: "gcm",
    api_version: "v1",
    project_id: "example",
    service_account_file: files.write("service-account.json", files.serviceAccount()),
  };
  return { ...tree, apps: { [typeof named === "string" ? named : "com.example.android"]: app } };
}

async function load(tree: unknown): Promise<Loaded> {
  const text = stringify(tree, { version: "1.1", lineWidth: 0 });
  return loadConfig({ path: files.write("sygnal.yaml", text), env: {}, pushkinTypes });
}

it("finds the examples", () => expect(examples.length).toBeGreaterThan(8));

it.each(examples)("%s passes check", async (_place, text) => {
  const loaded = await load(completed(withFiles(parse(text, { version: "1.1" })) as Tree));
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([]);
  expect(loaded.warnings.map(formatProblem)).toEqual([]);
});

it("finds a mistake in one", async () => {
  const loaded = await load(completed({ delivery: { answer_witin: "5s" } }));
  expect(loaded.ok).toBe(false);
});
