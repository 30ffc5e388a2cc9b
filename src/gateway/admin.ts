import { consoleRoutes } from "../admin/console.ts";
import type { AdminRoute } from "../admin/route.ts";
import type { Clock } from "../clock.ts";
import { isLoopback } from "../config/cidr.ts";
import type { Config } from "../config/schema.ts";
import { AdminConfig } from "../http/config.ts";
import { createApiKeys } from "../http/auth.ts";
import { silentHttpObserver } from "../http/observer.ts";
import { createHttpServer, type HttpServer } from "../http/server.ts";
import { lateListener } from "../late-listener.ts";
import { errorFields, type Log } from "../log.ts";
import { reasonOf, StartError } from "./start-error.ts";

/** More than an operator, his console and his probes need. */
const MAX_CONNECTIONS = 100;

/** The admin listener, listening. */
export interface AdminListener {
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens for operators; undefined when the configuration wants none. Rejects with `StartError`. */
export async function startAdminListener(
  admin: Config["admin"],
  routes: readonly AdminRoute[],
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<AdminListener | undefined> {
  if (!admin.enabled || admin.port === 0) return undefined;
  const token = admin.token === undefined ? {} : { token: createApiKeys([admin.token]) };
  // Express is loaded with an operator's first question.
  const app = lateListener(
    async () => {
      const { createAdminApp } = await import("../admin/app.ts");
      return createAdminApp({
        isLoopback: isLoopback(admin.bind_address),
        ...token,
        routes: [...routes, ...consoleRoutes],
        clock,
        log,
      });
    },
    (error, _req, res) => {
      log.error("the admin listener could not be loaded", errorFields(error));
      res.destroy();
    },
  );
  const server: HttpServer = createHttpServer({
    handler: app.serve,
    clock,
    observer: silentHttpObserver,
    maxConnections: MAX_CONNECTIONS,
  });
  try {
    const [bound] = await server.listen([{ address: admin.bind_address, port: admin.port }]);
    const port = bound?.port ?? admin.port;
    log.info("listening for operators", { address: admin.bind_address, port });
    return { port, stop: () => server.stop(1_000) };
  } catch (error) {
    const problem = `admin: cannot listen on ${admin.bind_address}:${admin.port}: ${reasonOf(error)}`;
    if (!isDefault(admin)) throw new StartError(problem);
    // A file of Sygnal's has not asked for it, and must start beside another gateway (drop-in).
    log.warn(`${problem}; the gateway goes on without this listener`);
    return undefined;
  }
}

function isDefault({ bind_address: address, port, token }: Config["admin"]): boolean {
  return (
    address === AdminConfig.properties.bind_address.default &&
    port === AdminConfig.properties.port.default &&
    token === undefined
  );
}
