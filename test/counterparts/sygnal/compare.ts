import { join } from "node:path";
import type { Case, Observed } from "./case.ts";
import { fixtureCases, generatedCases } from "./corpus/index.ts";
import { noted } from "./notes/gateway.ts";
import { judge, type Judged } from "./rules/index.ts";
import { startScene, type Scene } from "./scene.ts";
import { signalbox, startSide, sygnal, type SideProgram } from "./side.ts";

/** Whom Signalbox is compared with. */
export type Counterpart =
  /** A Python that has Sygnal. */
  | { readonly kind: "sygnal"; readonly python: string }
  /** What was written down when one ran. */
  | { readonly kind: "notes" }
  /** Any program that reads `SYGNAL_CONF`. */
  | { readonly kind: "program"; readonly program: SideProgram };

/** What came of each request, or of those that are selected. */
export async function compare(
  counterpart: Counterpart,
  directory: string,
  select: (request: Case) => boolean = () => true,
): Promise<readonly Judged[]> {
  const scene = await startScene(join(directory, "credentials"));
  try {
    const all = [...generatedCases(scene.simulators), ...(await fixtureCases(scene.simulators))];
    const cases = all.filter(select);
    const theirs = await askThem(counterpart, scene, cases, directory);
    const ours = await askAll(signalbox, scene, cases, join(directory, "signalbox"));
    return cases.map((request, index) =>
      judge(request, { theirs: at(theirs, index), ours: at(ours, index) }),
    );
  } finally {
    await scene.stop();
  }
}

async function askThem(
  counterpart: Counterpart,
  scene: Scene,
  cases: readonly Case[],
  directory: string,
): Promise<readonly Observed[]> {
  if (counterpart.kind === "notes") {
    const origin = new URL(scene.simulators.webPush.subscribe().endpoint).origin;
    return cases.map((request) => noted(request, origin));
  }
  const program = counterpart.kind === "sygnal" ? sygnal(counterpart.python) : counterpart.program;
  return askAll(program, scene, cases, join(directory, "counterpart"));
}

/** One after the other, so that what reaches an upstream belongs to the request; those that never end wait meanwhile. */
async function askAll(
  program: SideProgram,
  scene: Scene,
  cases: readonly Case[],
  directory: string,
): Promise<readonly Observed[]> {
  const side = await startSide(program, scene, directory);
  try {
    const endless = new Map(
      cases
        .filter(({ wire }) => wire.sender === "never-ends")
        .map((request) => [request, side.ask(request)] as const),
    );
    const seen: Observed[] = [];
    for (const request of cases) {
      const waiting = endless.get(request);
      // What others cause meanwhile is not theirs.
      if (waiting === undefined) seen.push(await side.ask(request));
      else seen.push({ answer: { kind: "silence" }, sent: [] });
    }
    for (const [request, asked] of endless) seen[cases.indexOf(request)] = { ...(await asked), sent: [] };
    return seen;
  } finally {
    await side.stop();
    scene.simulators.script.clear();
  }
}

function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new Error("a request was not asked");
  return value;
}
