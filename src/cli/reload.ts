import { Command } from "commander";
import { isJsonObject, type JsonValue } from "../json.ts";
import { adminTarget, askAdmin, refusalOf, withAdminOptions, type AdminFlags } from "./admin-client.ts";

/** `signalbox reload`: the running gateway takes over what has changed in its configuration's file. */
export function reloadCommand(): Command {
  return withAdminOptions(
    new Command("reload").description(
      "make the running gateway take over its changed configuration, without losing a push",
    ),
  )
    .addHelpText(
      "after",
      "\nThe gateway reads the file that it was started with. A wrong one changes nothing and its problems are printed." +
        "\nSIGHUP to the gateway does the same. Exits 0 when it was taken over, else 1.",
    )
    .action(async (flags: AdminFlags) => {
      const target = await adminTarget(flags, process.env);
      const answer = "problem" in target ? target : await askAdmin(target, "/reload", {});
      const lines = "problem" in answer ? [answer.problem] : report(answer.status, answer.body);
      const ok = !("problem" in answer) && answer.status === 200;
      (ok ? process.stdout : process.stderr).write(lines.map((line) => `${line}\n`).join(""));
      process.exitCode = ok ? 0 : 1;
    });
}

function report(status: number, body: Parameters<typeof refusalOf>[0]["body"]): readonly string[] {
  if (status === 422)
    return [...texts(body["problems"]), "nothing has changed: the gateway goes on as before"];
  if (status !== 200) return [refusalOf({ status, body })];
  const apps = body["apps"];
  const lines = isJsonObject(apps ?? null)
    ? (["added", "changed", "removed"] as const).flatMap((what) => {
        const names = texts((apps as Readonly<Record<string, JsonValue>>)[what]);
        return names.length === 0 ? [] : [`${what}: ${names.join(", ")}`];
      })
    : [];
  const later = texts(body["needs_restart"]).map((path) => `at the next start only: ${path}`);
  return [...texts(body["warnings"]).map((text) => `warning: ${text}`), ...lines, ...later, "reloaded"];
}

function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
