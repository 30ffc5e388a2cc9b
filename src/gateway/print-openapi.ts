import { writeFileSync } from "node:fs";
import { describeAll } from "./openapi.ts";

/** `docs/openapi.json`: everything that can be served, at the default paths. */
export function renderOpenApi(): string {
  return `${JSON.stringify({ ...describeAll([]) }, undefined, 2)}\n`;
}

if (import.meta.main) {
  writeFileSync(new URL("../../docs/openapi.json", import.meta.url), renderOpenApi());
}
