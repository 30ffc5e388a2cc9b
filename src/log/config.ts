import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { dirname } from "node:path";
import { logOptionsFrom } from "./setup.ts";

/** Something about `log.setup` that an operator should hear of before the gateway runs with it. */
export interface LogFinding {
  readonly path: readonly string[];
  readonly message: string;
}

const AT = "log.setup";

/** What of `log.setup` has no effect, and which of its files cannot be written: their lines would be lost. */
export async function logFindings(setup: unknown): Promise<readonly LogFinding[]> {
  const { options, warnings } = logOptionsFrom(setup);
  const files = (options.destinations ?? []).flatMap(({ to }) =>
    typeof to === "object" && "file" in to ? [to.file] : [],
  );
  const unwritable = await Promise.all(
    [...new Set(files)].map(async (file) => {
      const reason = await whyNotWritable(file);
      return reason === undefined
        ? []
        : [`the file ${file} cannot be written (${reason}): its lines would be lost`];
    }),
  );
  return [...warnings.map(withoutPlace), ...unwritable.flat()].map((message) => ({
    path: AT.split("."),
    message,
  }));
}

/** `log.setup.root.level: …` as `root.level: …`, and `log.setup: …` without either. */
function withoutPlace(warning: string): string {
  return warning.startsWith(AT) ? warning.slice(AT.length).replace(/^(?:\.|: )/, "") : warning;
}

/** Makes no file: whoever checks may be somebody else than the gateway's user. */
async function whyNotWritable(file: string): Promise<string | undefined> {
  const tried = await refusal(file, constants.W_OK);
  return tried === "ENOENT" ? refusal(dirname(file), constants.W_OK | constants.X_OK) : tried;
}

function refusal(path: string, mode: number): Promise<string | undefined> {
  return access(path, mode).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.name,
  );
}
