import type { AppConfig, Config, Settings } from "../config/schema.ts";
import { pushkinTypes } from "../pushkins/index.ts";

/** A configuration on its way to another thread: types of apps by their names. */
export interface PortableConfig {
  readonly settings: Omit<Config, "apps">;
  readonly apps: readonly (readonly [app: string, type: string, options: AppConfig["options"]])[];
}

/** A configuration as plain data. */
export function toPortable({ apps, ...settings }: Config): PortableConfig {
  return {
    settings,
    apps: [...apps].map(([app, { type, options }]) => [app, type.types[0], options] as const),
  };
}

/** The configuration that was sent. */
export function fromPortable({ apps, settings }: PortableConfig): Config {
  const types = new Map(pushkinTypes.map((type) => [type.types[0], type] as const));
  return {
    ...(settings as Settings),
    apps: new Map(
      apps.map(([app, name, options]) => {
        const type = types.get(name);
        if (type === undefined) throw new Error("an app of a type that this version has not was sent");
        return [app, { type, options }];
      }),
    ),
  };
}
