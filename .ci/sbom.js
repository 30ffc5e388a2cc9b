// Prints what a production install holds, as CycloneDX. `npm sbom --omit=dev` by itself leaves out what a development
// dependency needs as well, such as pg; the lockfile says what is needed for development alone.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", root), "utf8"));
const installed = new Set(
  Object.entries(packages)
    .filter(([path, { dev, devOptional, optional }]) => path !== "" && !dev && !devOptional && !optional)
    .map(([path, { name, version }]) => `${name ?? path.split("node_modules/").at(-1)}@${version}`),
);
const bom = JSON.parse(
  execFileSync("npm", ["sbom", "--package-lock-only", "--sbom-format=cyclonedx", "--sbom-type=application"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  }),
);
const own = bom.metadata.component["bom-ref"];
const isHeld = (reference) => reference === own || installed.has(reference);
bom.components = bom.components.filter((component) => isHeld(component["bom-ref"]));
bom.dependencies = bom.dependencies
  .filter(({ ref }) => isHeld(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(isHeld) }));

const listed = new Set(bom.components.map((component) => component["bom-ref"]));
const missing = [...installed].filter((reference) => !listed.has(reference));
if (missing.length > 0) throw new Error(`not listed: ${missing.join(", ")}`);
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);
