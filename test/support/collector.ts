import { createServer } from "node:http";
import { listen } from "./upstream-server.ts";

/** A request as a collector got it. */
export interface Collected {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Takes whatever is POSTed: what an OTLP collector, or Sentry, is to its senders. */
export interface Collector {
  readonly url: string;
  readonly port: number;
  readonly requests: Collected[];
  /** What is answered from now on. */
  answer: { readonly status: number; readonly headers?: Record<string, string> };
  /** Resolves when so many requests have come. */
  untilRequests(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Listens on loopback, on a free port unless one is given. */
export async function startCollector(port?: number): Promise<Collector> {
  const requests: Collected[] = [];
  const waiting = new Set<() => void>();
  const collector = { answer: { status: 200 } } as { answer: Collector["answer"] };
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      requests.push({ path: request.url ?? "", headers: request.headers, body });
      response.writeHead(collector.answer.status, {
        "content-type": "application/json",
        ...collector.answer.headers,
      });
      response.end("{}");
      for (const look of waiting) look();
    });
  });
  const listening = await listen(server, port);
  return Object.assign(collector, {
    url: `http://127.0.0.1:${listening.port}`,
    port: listening.port,
    requests,
    untilRequests: (count: number) =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (requests.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close: () => listening.close(),
  });
}
