import { stat } from "node:fs/promises";
import { platform } from "node:process";
import type { PushkinType } from "../core/pushkin.ts";
import { logFindings } from "../log/config.ts";
import { findSwitchesThatAreOff, openTracingNote } from "../metrics/config.ts";
import { readApps } from "./apps.ts";
import { readDocument } from "./document.ts";
import type { ConfigDocument } from "./document.ts";
import { prepare } from "./prepare.ts";
import type { Preparation } from "./prepare.ts";
import { formatPath } from "./problem.ts";
import type { Finding, Problem } from "./problem.ts";
import { readSmallFile } from "./read-file.ts";
import { checkWithApps, crossChecks, RootConfig } from "./schema.ts";
import type { Config, Settings } from "./schema.ts";
import type { Environment } from "./secrets.ts";
import { validate } from "./validate.ts";
import { parseYaml } from "./yaml.ts";

/** What `loadConfig` needs. */
export interface LoadOptions {
  /** Relative to the working directory, as every path in the file is (sygnal-compat 1). */
  readonly path: string;
  /** For `${NAME}` and for `HTTPS_PROXY`. */
  readonly env: Environment;
  /** The values of `type` that apps may have. */
  readonly pushkinTypes: readonly PushkinType[];
}

/** The configuration, or every reason why there is none. */
export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[];
      /** Everything but the apps, where nothing is wrong with it. */
      readonly settings?: Settings;
    };

/** Others may read it. */
const OTHERS_READ = 0o004;

/** Reads, validates and freezes the configuration; all problems at once. Never throws for what the files hold. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { path: file } = options;
  const refuse = (problem: Problem): Loaded => ({ ok: false, problems: [problem], warnings: [] });
  const read = await readSmallFile(file);
  if ("problem" in read) return refuse({ file, path: "", message: read.problem });
  const parsed = parseYaml(read.text);
  if ("problem" in parsed)
    return refuse({ file, ...parsed.problem.at, path: "", message: parsed.problem.message });
  const document = readDocument(parsed.root);
  if (document === undefined)
    return refuse({ file, line: 1, path: "", message: "the top level must be a mapping" });

  const findings: Preparation = {
    env: options.env,
    nullIsAValue: false,
    problems: [...document.duplicateApps, ...document.nonTextApps],
    warnings: [...document.duplicateKeys],
    secretFiles: [],
  };
  const settings = await readSettings(document, findings);
  const apps = await readApps(document.value.apps, options.pushkinTypes, { ...findings, nullIsAValue: true });
  if (settings !== undefined && findings.problems.length === 0) {
    findings.problems.push(...checkWithApps(settings, apps));
  }
  if (settings !== undefined) findings.warnings.push(...(await logFindings(settings.log.setup)));
  await checkPermissions(read.mode, document.value.strict_permissions === true, findings);

  const tell = (list: readonly Finding[]): readonly Problem[] =>
    list.map((finding) => locate(finding, file, document));
  const warnings = tell(findings.warnings);
  if (findings.problems.length > 0 || settings === undefined) {
    const rest = settings === undefined ? {} : { settings };
    return { ok: false, problems: sorted(tell(findings.problems)), warnings, ...rest };
  }
  for (const app of apps.values()) freeze(app.options);
  return { ok: true, config: Object.freeze({ ...freeze(settings), apps }), warnings };
}

/** Everything but `apps`; undefined when it is not valid. */
async function readSettings(document: ConfigDocument, findings: Preparation): Promise<Settings | undefined> {
  const { problems, warnings, env } = findings;
  const before = problems.length;
  const { apps: _apps, ...raw } = document.value;
  for (const key of ["db", "database"]) {
    if (Object.hasOwn(raw, key)) {
      warnings.push({
        path: [key],
        message: "is ignored: Sygnal has no database any more; ours is `store.url`",
      });
      delete raw[key];
    }
  }
  warnings.push(...findSwitchesThatAreOff(raw.metrics), ...openTracingNote(raw.metrics));
  const fromEnvironment = (raw.proxy === undefined || raw.proxy === null) && env.HTTPS_PROXY !== undefined;
  if (fromEnvironment && env.HTTPS_PROXY !== "") raw.proxy = env.HTTPS_PROXY;
  const settings = (await prepare(RootConfig, raw, [], findings)) as Settings;
  // A secret whose file cannot be read is told of at the file: that there is no secret then is an echo.
  const told = new Set(
    problems.slice(before).map(({ path }) => (path.at(-1) === "file" ? path.slice(0, -1) : path).join("\n")),
  );
  for (const finding of validate(RootConfig, settings)) {
    if (told.has(finding.path.join("\n"))) continue;
    const named =
      fromEnvironment && finding.path[0] === "proxy" ? "(from the environment's HTTPS_PROXY) " : "";
    problems.push({ path: finding.path, message: named + finding.message });
  }
  const wrong = new Set(problems.slice(before).map((finding) => finding.path[0]));
  for (const crossCheck of crossChecks) {
    const isValid = !crossCheck.sections.some((section) => wrong.has(section));
    if (isValid) problems.push(...(await crossCheck.check(settings)));
  }
  return problems.length === before ? settings : undefined;
}

/** Keys and the configuration are nobody else's to read: a warning, or with `strict` a refusal (C03). */
async function checkPermissions(configMode: number, strict: boolean, findings: Preparation): Promise<void> {
  if (platform === "win32") return;
  const list = strict ? findings.problems : findings.warnings;
  if ((configMode & OTHERS_READ) !== 0)
    list.push({ path: [], message: "others can read this file; chmod o= it" });
  for (const { path, file } of findings.secretFiles) {
    // A file that is not there is told by whoever needs it.
    const mode = await stat(file).then(
      (stats) => stats.mode,
      () => 0,
    );
    if ((mode & OTHERS_READ) !== 0) list.push({ path, message: "others can read the file; chmod o= it" });
  }
}

function locate(finding: Finding, file: string, document: ConfigDocument): Problem {
  return { file, ...document.place(finding.path), path: formatPath(finding.path), message: finding.message };
}

/** In the file's order; what has no place first. */
function sorted(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
}
