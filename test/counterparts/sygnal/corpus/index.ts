import type { Simulators } from "../../../../src/simulator/index.ts";
import { readFixtures, readIndex } from "../../support/fixtures.ts";
import type { Case } from "../case.ts";
import { contentRows } from "./content-rows.ts";
import { deviceRows } from "./device-rows.ts";
import { httpRows } from "./http-rows.ts";
import { Maker } from "./maker.ts";
import { outcomeRows } from "./outcome-rows.ts";

/** The generated requests: at least five for each row of matrix-push 10.1 to 10.3, and some of 10.4. */
export function generatedCases({ webPush }: Pick<Simulators, "webPush">): readonly Case[] {
  const make = new Maker(() => webPush.subscribe());
  return [...httpRows(make), ...deviceRows(make), ...contentRows(make), ...outcomeRows(make)];
}

/** The recorded notifications, and those that are made by hand; browsers get keys and endpoints that work. */
export async function fixtureCases({ webPush }: Pick<Simulators, "webPush">): Promise<readonly Case[]> {
  const make = new Maker(() => webPush.subscribe());
  const cases: Case[] = [];
  for (const { file } of await readIndex()) {
    for (const { title, body } of await readFixtures(file)) {
      const made = JSON.parse(JSON.stringify(body), (_key, value: unknown) =>
        isBrowser(value) ? withKeys(value, webPush.subscribe()) : value,
      ) as { notification: object };
      cases.push(make.post(file, title, made.notification));
    }
  }
  return cases;
}

interface Browser {
  readonly data: { readonly endpoint: string };
}

function isBrowser(value: unknown): value is Browser {
  const { data } = (typeof value === "object" && value !== null ? value : {}) as {
    data?: { endpoint?: unknown };
  };
  return typeof data?.endpoint === "string";
}

function withKeys(
  device: Browser,
  { endpoint, keys }: ReturnType<Simulators["webPush"]["subscribe"]>,
): object {
  return { ...device, pushkey: keys.p256dh, data: { ...device.data, endpoint, auth: keys.auth } };
}
