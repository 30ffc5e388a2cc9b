import { connect } from "node:net";
import type { Clock } from "../../clock.ts";
import { failed, ok, type Diagnosis } from "../../core/diagnosis.ts";
import { classifyNetError } from "../../upstream/net-error.ts";
import { proxyPlace } from "../../upstream/proxy-tunnel.ts";

const LIMIT_MS = 5_000;

/** Whether somebody listens where the proxy should be; what it lets through, each app's lines tell. */
export function proxyLine(proxy: URL, clock: Clock): Promise<Diagnosis> {
  const at = proxyPlace(proxy);
  const place = `${proxy.hostname}:${at.port}`;
  return new Promise((resolve) => {
    const socket = connect(at);
    const end = (line: Diagnosis): void => {
      cancel();
      socket.destroy();
      resolve(line);
    };
    const remedy = "start the proxy, or correct host and port in `proxy` (or HTTPS_PROXY)";
    const cancel = clock.schedule(LIMIT_MS, () =>
      end(failed("proxy", `${place} does not answer in 5 s`, remedy)),
    );
    socket.once("connect", () => end(ok("proxy", `${place} accepts connections`)));
    socket.on("error", (error) => {
      const { class: kind, detail } = classifyNetError(error);
      end(failed("proxy", `${place} cannot be reached (${detail ?? kind})`, remedy));
    });
  });
}
