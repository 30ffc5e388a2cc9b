import type { PushkinType } from "../core/pushkin.ts";
import { findTiedGlobs } from "../core/app-router.ts";
import { prepare, propertiesOf } from "./prepare.ts";
import type { Preparation } from "./prepare.ts";
import type { ConfigPath, Finding } from "./problem.ts";
import type { AppConfig } from "./schema.ts";
import { didYouMean } from "./suggest.ts";
import { kindOf, validate } from "./validate.ts";

/**
 * The entries of `apps`, each validated by the type it names. Findings go into `preparation`; what is returned is
 * complete only when there are no problems.
 */
export async function readApps(
  raw: unknown,
  types: readonly PushkinType[],
  preparation: Preparation,
): Promise<ReadonlyMap<string, AppConfig>> {
  const apps = new Map<string, AppConfig>();
  const { problems } = preparation;
  if (raw !== undefined && raw !== null && !isMapping(raw)) {
    problems.push({ path: ["apps"], message: `must be a mapping, is ${kindOf(raw)}` });
    return apps;
  }
  const entries = Object.entries(raw ?? {});
  if (entries.length === 0)
    problems.push({ path: ["apps"], message: "no app is configured; there must be one" });
  for (const [left, right] of findTiedGlobs(entries.map(([id]) => id))) {
    const message = `is as specific as ${JSON.stringify(left)}, and some app ids match both; make one more specific`;
    problems.push({ path: ["apps", right], message });
  }
  for (const [id, options] of entries) {
    const app = await readApp(["apps", id], options, types, preparation);
    if (app !== undefined) apps.set(id, app);
  }
  return apps;
}

async function readApp(
  path: ConfigPath,
  raw: unknown,
  types: readonly PushkinType[],
  preparation: Preparation,
): Promise<AppConfig | undefined> {
  const { problems, warnings } = preparation;
  if (!isMapping(raw)) {
    problems.push({ path, message: `must be a mapping with a \`type\`, is ${kindOf(raw)}` });
    return undefined;
  }
  const type = findType(raw.type, types);
  if (typeof type === "string") {
    problems.push({ path: [...path, "type"], message: type });
    return undefined;
  }
  const before = problems.length;
  const options = await prepare({ ...type.config, unknown_keys: "warn" }, raw, path, preparation);
  const told = new Set(problems.slice(before).map((finding) => finding.path.join("\n")));
  problems.push(
    ...validate(type.config, options, path).filter((finding) => !told.has(finding.path.join("\n"))),
  );
  if (problems.length > before) {
    problems.push(...(await checkTheRest(type, options, path, problems.slice(before))));
    return undefined;
  }
  const app = { type, options: options as AppConfig["options"] };
  problems.push(...(await type.check(app.options)).map((text) => toFinding(text, path, type)));
  if (problems.length > before) return undefined;
  warnings.push(...(type.warnings?.(app.options) ?? []).map((text) => toFinding(text, path, type)));
  return app;
}

/** What else is wrong with an app of which some options are: its files, say. Nothing that may be only an echo. */
async function checkTheRest(
  type: PushkinType,
  options: unknown,
  path: ConfigPath,
  found: readonly Finding[],
): Promise<readonly Finding[]> {
  const wrong = new Set(found.map((finding) => finding.path[path.length] ?? ""));
  if (!isMapping(options)) return [];
  const { required = [] } = type.config as { readonly required?: readonly string[] };
  const rest: Record<string, unknown> = { ...options };
  for (const name of wrong) {
    const usual: unknown = propertiesOf(type.config)[name]?.default;
    if (usual === undefined && required.includes(name)) return [];
    if (usual === undefined) delete rest[name];
    else rest[name] = usual;
  }
  const more = (await type.check(rest as AppConfig["options"])).map((text) => toFinding(text, path, type));
  return more.filter(({ path: { [path.length]: name } }) => name !== undefined && !wrong.has(name));
}

/** The type, or why there is none. */
function findType(name: unknown, types: readonly PushkinType[]): PushkinType | string {
  const names = types.flatMap((type) => type.types);
  const known = names.join(", ");
  if (name === undefined) return `is missing; it must be one of ${known}`;
  if (typeof name !== "string") return `must be a string, is ${kindOf(name, "string")}`;
  const type = types.find((candidate) => candidate.types.includes(name));
  if (type !== undefined) return type;
  if (name.includes(".")) {
    return `names a Python class, which only Sygnal itself can load; it must be one of ${known}`;
  }
  return `must be one of ${known}${didYouMean(name, names)}`;
}

/** `option: sentence` as a finding at that option, when there is one of that name. */
function toFinding(text: string, path: ConfigPath, type: PushkinType): Finding {
  const match = /^([A-Za-z_][A-Za-z0-9_.]*): /.exec(text);
  const option = match?.[1]?.split(".") ?? [];
  const isOption = option[0] !== undefined && Object.hasOwn(propertiesOf(type.config), option[0]);
  if (match === null || !isOption) return { path, message: text };
  return { path: [...path, ...option], message: text.slice(match[0].length) };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
