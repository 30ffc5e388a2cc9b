import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";

/** By how many bytes V8's old generation grows while 20,000 things of 800 bytes pass through such a collection, 20 at a time. */
export async function oldGrowth(kind: "Map" | "Set" | "PassingMap" | "LinkedList"): Promise<number> {
  const script = fileURLToPath(new URL("churn.ts", import.meta.url));
  const args = ["--expose-gc", "--max-semi-space-size=1", script, kind];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return Number(stdout);
}
