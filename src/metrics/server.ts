import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Request, Response } from "express";
import type { Registry } from "prom-client";
import { lateListener } from "../late-listener.ts";
import { createServer } from "../node-http.ts";
import { onlyNamed, toOpenMetrics } from "./exposition.ts";

/** Where metrics are served. */
export interface MetricsServerOptions {
  readonly registry: Pick<Registry, "metrics">;
  /** Host name or IP address. */
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** The running metrics listener. */
export interface MetricsServer {
  /** The port in use. */
  readonly port: number;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

const maxConnections = 50;
const requestLimitMs = 10_000;
const maxNames = 100;
const prometheusType = "text/plain; version=0.0.4; charset=utf-8";
const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/**
 * Serves the metrics to GET and HEAD on any path, as Sygnal's listener does (sygnal-compat 13).
 * Rejects with one clear sentence when the address cannot be listened on.
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const app = lateListener(
    () => createApp(options.registry),
    (_error, _request, response) => void response.destroy(),
  );
  const limits = { requestTimeout: requestLimitMs, headersTimeout: requestLimitMs };
  const server = createServer(limits, app.serve);
  server.maxConnections = maxConnections;
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new Error(problemOf(error, options))));
    server.listen(options.port, options.address, resolve);
  });
  server.removeAllListeners("error");
  // After listening an 'error' tells of one connection that could not be accepted.
  server.on("error", () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Express is loaded with the first scrape. */
async function createApp(registry: MetricsServerOptions["registry"]): Promise<RequestListener> {
  const { default: express } = await import("express");
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use((request, response, next) => {
    answer(registry, request, response).catch(next);
  });
  app.use((_error: unknown, _request: Request, response: Response, _next: () => void) => {
    response.status(500).type("text/plain").send("the metrics cannot be read\n");
  });
  return app;
}

async function answer(
  registry: Pick<Registry, "metrics">,
  request: Request,
  response: Response,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    // The body is not read, so the connection cannot be used again.
    response.set({ Allow: "GET, HEAD", Connection: "close" }).status(405).type("text/plain");
    response.send("only GET and HEAD are served here\n");
    return;
  }
  const query = request.url.indexOf("?");
  const names =
    query < 0 ? [] : new URLSearchParams(request.url.slice(query)).getAll("name[]").slice(0, maxNames);
  const all = await registry.metrics();
  const text = names.length === 0 ? all : onlyNamed(all, names);
  const asked = (request.get("accept") ?? "").split(",").map((type) => type.split(";")[0]?.trim());
  const isOpenMetrics = asked.includes("application/openmetrics-text");
  response.set("Content-Type", isOpenMetrics ? openMetricsType : prometheusType);
  response.send(Buffer.from(isOpenMetrics ? toOpenMetrics(text) : text));
}

function problemOf(error: NodeJS.ErrnoException, { address, port }: MetricsServerOptions): string {
  const where = `metrics.prometheus: cannot listen on ${address}:${port}`;
  switch (error.code ?? "") {
    case "EADDRINUSE":
      return `${where}: the port is in use by another program`;
    case "EACCES":
      return `${where}: not allowed; ports below 1024 need a privilege`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `${where}: this machine has no such address`;
    default:
      return `${where}: ${error.code ?? error.name}`;
  }
}
