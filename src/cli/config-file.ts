import type { Environment } from "../config/secrets.ts";

/** What is read where no file is named. */
export const USUAL_FILE = "sygnal.yaml";

/** The configuration's file: `--config`, else `SYGNAL_CONF`, else `sygnal.yaml` in the working directory (sygnal-compat 1). */
export function configFile(flag: string | undefined, env: Environment): string {
  return flag ?? (env.SYGNAL_CONF === undefined || env.SYGNAL_CONF === "" ? USUAL_FILE : env.SYGNAL_CONF);
}
