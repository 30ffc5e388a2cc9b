import type { Environment } from "../config/secrets.ts";

/** The configuration's file: `--config`, else `SYGNAL_CONF`, else `sygnal.yaml` in the working directory (sygnal-compat 1). */
export function configFile(flag: string | undefined, env: Environment): string {
  return flag ?? (env.SYGNAL_CONF === undefined || env.SYGNAL_CONF === "" ? "sygnal.yaml" : env.SYGNAL_CONF);
}
