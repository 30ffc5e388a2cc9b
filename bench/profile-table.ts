/** Prints where a CPU profile's time went, by module: `node bench/profile-table.ts FILE.cpuprofile [functions]`. */
import { readFileSync } from "node:fs";
import type { Profiler } from "node:inspector";
import { markdownTable } from "./report.ts";

const [file = "", functions] = process.argv.slice(2);
const { nodes, samples = [], timeDeltas = [] } = JSON.parse(readFileSync(file, "utf8")) as Profiler.Profile;
const byId = new Map(nodes.map((node) => [node.id, node]));
const selfUs = new Map<string, number>();
let totalUs = 0;
samples.forEach((id, i) => {
  const frame = byId.get(id)?.callFrame;
  if (frame === undefined || frame.functionName === "(idle)") return;
  const us = timeDeltas[i] ?? 0;
  const module = moduleOf(frame.url) || frame.functionName;
  const key =
    functions === undefined
      ? module
      : `${frame.functionName || "(anonymous)"} ${module}:${frame.lineNumber + 1}`;
  selfUs.set(key, (selfUs.get(key) ?? 0) + us);
  totalUs += us;
});
const rows = [...selfUs]
  .sort(([, a], [, b]) => b - a)
  .slice(0, functions === undefined ? 40 : 60)
  .map(([name, us]) => [name, `${((100 * us) / totalUs).toFixed(1)} %`, (us / 1000).toFixed(0)]);
process.stdout.write(
  markdownTable([functions === undefined ? "module" : "function", "self time", "ms"], rows),
);

function moduleOf(url: string): string {
  const path = url.replace(/^file:\/\//, "");
  const own = /\/(?:dist|src)\/(.*)$/.exec(path.includes("/node_modules/") ? "" : path);
  if (own !== null) return `signalbox ${own[1]?.replace(/\.(?:js|ts)$/, "") ?? ""}`;
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
  return name ?? path.split("/").slice(-1)[0] ?? "";
}
