import { Command } from "commander";
import type { JsonValue } from "../json.ts";
import { adminTarget, askAdmin, refusalOf, withAdminOptions, type AdminFlags } from "./admin-client.ts";
import { readStdin } from "./stdin.ts";

/** `signalbox explain`: why a phone stayed silent, or why its pusher is gone. */
export function explainCommand(): Command {
  return withAdminOptions(
    new Command("explain")
      .description("say what became of the pushes of a device, of an event, or of a request, and what to do")
      .argument("<subject>", "a pushkey, an event id or a request id; `-` reads it from standard input"),
  )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nAsks the running gateway. An argument can be seen by other users of the machine while the command runs, standard" +
        "\ninput cannot. Exits 0 when something is known, 1 when nothing is, 2 when the gateway could not be asked.",
    )
    .action(async (subject: string, flags: AdminFlags & { readonly json?: true }) => {
      const text = subject === "-" ? (await readStdin()).trim() : subject;
      const target = await adminTarget(flags, process.env);
      const answer = "problem" in target ? target : await askAdmin(target, "/explain", { subject: text });
      if ("problem" in answer || answer.status !== 200) {
        process.stderr.write(`${"problem" in answer ? answer.problem : refusalOf(answer)}\n`);
        process.exitCode = 2;
        return;
      }
      const { body } = answer;
      process.stdout.write(
        `${flags.json === true ? JSON.stringify(body, undefined, 2) : textOf(body["text"])}\n`,
      );
      process.exitCode = body["found"] === true ? 0 : 1;
    });
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "the gateway's answer has no text";
}
