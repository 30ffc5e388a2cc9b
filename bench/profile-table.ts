/**
 * Prints where a profile's time or memory went, by module or by function:
 * `node bench/profile-table.ts FILE.cpuprofile|FILE.heapprofile [functions]`.
 */
import { readFileSync } from "node:fs";
import type { HeapProfiler, Profiler, Runtime } from "node:inspector";
import { markdownTable } from "./report.ts";

const [file = "", functions] = process.argv.slice(2);
const isHeap = file.endsWith(".heapprofile");
const own = new Map<string, number>();
let total = 0;
const profile: unknown = JSON.parse(readFileSync(file, "utf8"));
if (isHeap) addHeap((profile as HeapProfiler.SamplingHeapProfile).head);
else addCpu(profile as Profiler.Profile);
const unit = isHeap ? "KiB" : "ms";
const rows = [...own]
  .sort(([, a], [, b]) => b - a)
  .slice(0, functions === undefined ? 40 : 60)
  .map(([name, amount]) => [
    name,
    `${((100 * amount) / total).toFixed(1)} %`,
    (amount / (isHeap ? 1024 : 1000)).toFixed(0),
  ]);
process.stdout.write(
  markdownTable(
    [functions === undefined ? "module" : "function", isHeap ? "allocated" : "self time", unit],
    rows,
  ),
);

function addCpu({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): void {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  samples.forEach((id, i) => {
    const frame = byId.get(id)?.callFrame;
    if (frame !== undefined && frame.functionName !== "(idle)") add(frame, timeDeltas[i] ?? 0);
  });
}

function addHeap({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void {
  add(callFrame, selfSize);
  children.forEach(addHeap);
}

function add({ functionName, lineNumber, url }: Runtime.CallFrame, amount: number): void {
  const module = moduleOf(url) || functionName;
  const key =
    functions === undefined ? module : `${functionName || "(anonymous)"} ${module}:${lineNumber + 1}`;
  own.set(key, (own.get(key) ?? 0) + amount);
  total += amount;
}

function moduleOf(url: string): string {
  const path = url.replace(/^file:\/\//, "");
  const ours = /\/(?:dist|src)\/(.*)$/.exec(path.includes("/node_modules/") ? "" : path);
  if (ours !== null) return `signalbox ${ours[1]?.replace(/\.(?:js|ts)$/, "") ?? ""}`;
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
  return name ?? path.split("/").slice(-1)[0] ?? "";
}
