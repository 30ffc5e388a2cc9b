import type { LoadApp } from "../src/load/replay.ts";
import type { UpstreamAddresses } from "./upstreams.ts";

/** Which upstreams a stretch of load goes to, how many callers lay it on, and how slow the upstreams are. */
export interface Scenario {
  readonly upstream: "APNs" | "FCM" | "Web Push" | "mixed";
  readonly callers: number;
  readonly latencyMs: number;
}

const upstreams = ["APNs", "FCM", "Web Push", "mixed"] as const;

/** Every combination, or the few that show a change at a glance. */
export function scenarios(quick: boolean): readonly Scenario[] {
  if (quick) return (["APNs", "FCM"] as const).map((upstream) => ({ upstream, callers: 20, latencyMs: 0 }));
  return upstreams.flatMap((upstream) =>
    [0, 50].flatMap((latencyMs) => [1, 20, 200].map((callers) => ({ upstream, callers, latencyMs }))),
  );
}

/** The apps that a scenario's pushes go to, with ten thousand devices each; browsers' keys take long to make. */
export function appsOf({ upstream }: Scenario, { webPush }: UpstreamAddresses): readonly LoadApp[] {
  const ios: LoadApp = { appId: "com.example.app.ios", kind: "apns", devices: 10_000 };
  const android: LoadApp = { appId: "com.example.app.android", kind: "fcm", devices: 10_000 };
  const web: LoadApp = { appId: "com.example.app.web", kind: "webpush", devices: 500, endpoint: webPush };
  switch (upstream) {
    case "APNs":
      return [ios];
    case "FCM":
      return [android];
    case "Web Push":
      return [web];
    case "mixed":
      return [ios, android, ios, android, web];
  }
}

export function titleOf({ upstream, callers, latencyMs }: Scenario): string {
  return `${upstream}, ${callers} ${callers === 1 ? "caller" : "callers"}, ${latencyMs} ms`;
}
