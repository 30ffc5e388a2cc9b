import { consoleRoutes } from "../admin/console.ts";
import type { AdminRoute } from "../admin/route.ts";
import { adminDescriptions, adminRoutes } from "../admin/routes.ts";
import { allCircuits, type StatusSources } from "../admin/status.ts";
import type { Config } from "../config/schema.ts";
import { Digests } from "../core/digest.ts";
import { explain } from "../explain/explainer.ts";
import type { History } from "../explain/history.ts";
import type { Refusal, Refusals } from "../explain/refusals.ts";
import { version } from "../version.ts";
import type { ReloadResult } from "./reload.ts";

/** What a gateway shows its operators, and lets them do. */
export interface OperatorSources extends Omit<StatusSources, "version"> {
  /** Absent: `explain` is switched off. */
  readonly history: History | undefined;
  readonly refusals: Refusals;
  /** Of several threads: what another knows of a refused request, by its id. */
  readonly refusedElsewhere?: (request: string) => Promise<Refusal | undefined>;
  /** The configuration of the moment. */
  readonly config: () => Config;
  readonly reload: () => Promise<ReloadResult>;
}

/** What the admin listener serves for a gateway. */
export function operatorRoutes(sources: OperatorSources): readonly AdminRoute[] {
  const { apps, clock, config, elsewhere, history, refusals, reload, store } = sources;
  const digests = new Digests(store.installationKey);
  return adminRoutes({
    ...sources,
    version,
    ...(history === undefined
      ? {}
      : {
          explain: async (subject: string) => {
            const circuits = allCircuits(sources.circuits(), (await elsewhere?.()) ?? []);
            const refused = refusals.find(subject) ?? (await sources.refusedElsewhere?.(subject));
            return explain(subject, {
              history,
              refusals: { find: () => refused },
              store,
              digests,
              clock,
              apps,
              circuits: () => circuits,
            });
          },
        }),
    reload: async () => reloadReport(await reload()),
    describe: async () => {
      const { describeGateway } = await import("./openapi.ts");
      return describeGateway(config(), [...adminDescriptions, ...consoleRoutes]);
    },
  });
}

/** A reload's result as the admin listener tells it. */
function reloadReport(result: ReloadResult): ReloadReport {
  if (!result.ok) return { ok: false, problems: [...result.problems], warnings: [...result.warnings] };
  const { added, changed, removed } = result.apps;
  return {
    ok: true,
    apps: { added: [...added], changed: [...changed], removed: [...removed] },
    needs_restart: [...result.needsRestart],
    warnings: [...result.warnings],
  };
}

type ReloadReport =
  | {
      ok: true;
      apps: { added: string[]; changed: string[]; removed: string[] };
      needs_restart: string[];
      warnings: string[];
    }
  | { ok: false; problems: string[]; warnings: string[] };
