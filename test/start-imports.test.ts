import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../src/", import.meta.url));
/** Of an import or a re-export that is there at run time, what it names. */
const valueImport = /^(?:import|export) (?!type\b)[^"';]*?from "([^"]+)";|^import "([^"]+)";/gms;

/** All that is loaded before the first line runs, files and packages, from a file on. */
function loadedWith(entry: string): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, from, bare] of readFileSync(file, "utf8").matchAll(valueImport)) {
      const name = from ?? bare ?? "";
      if (name.startsWith(".")) visit(resolve(dirname(file), name));
      else found.add(name);
    }
  };
  visit(resolve(src, entry));
  return found;
}

describe("what a gateway loads at its start", () => {
  const loaded = loadedWith("cli/serve.ts");

  it("is found by this test", () => {
    expect(loaded).toContain(resolve(src, "gateway.ts"));
    expect(loaded).toContain("winston");
    expect(loadedWith("http/express-app.ts")).toContain("express");
  });

  it.each([
    "@sinclair/typebox",
    "express",
    "got",
    "jose",
    "web-push",
    "google-auth-library",
    "pg",
    "@opentelemetry/sdk-trace",
  ])("leaves %s for who needs it", (name) => {
    expect(loaded).not.toContain(name);
  });

  it("takes node:http without the fetch that an import of it brings", () => {
    expect(loaded).toContain(resolve(src, "node-http.ts"));
    expect(loaded).not.toContain("node:http");
  });

  it("has nothing of the simulators, and main.ts nothing but the command line", () => {
    expect([...loaded].filter((name) => name.includes("/simulator/"))).toEqual([]);
    expect(loadedWith("main.ts")).not.toContain(resolve(src, "gateway.ts"));
  });
});
