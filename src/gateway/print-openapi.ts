import { writeFileSync } from "node:fs";
import { consoleRoutes } from "../admin/console.ts";
import { adminDescriptions } from "../admin/routes.ts";
import { describeAll } from "./openapi.ts";

/** `docs/openapi.json`: everything that can be served, at the default paths. */
export function renderOpenApi(): string {
  return `${JSON.stringify(describeAll([...adminDescriptions, ...consoleRoutes]), undefined, 2)}\n`;
}

if (import.meta.main) {
  writeFileSync(new URL("../../docs/openapi.json", import.meta.url), renderOpenApi());
}
