import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";

/** Lends a real PostgreSQL with one empty database. */
export async function withPostgres<T>(work: (postgres: TestPostgres, url: string) => Promise<T>): Promise<T> {
  const postgres = await startPostgres();
  try {
    return await work(postgres, await postgres.createDatabase());
  } finally {
    await postgres.stop();
  }
}

/** What stands between a gateway and its database. */
export interface DatabaseProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  /** Bytes stop in both directions, nobody is told. */
  stalled: boolean;
  /** From now on the connection is cut, once, as soon as the server has answered a message that holds this text. */
  cutAfterAnswerTo(text: string): void;
  /** How often it has cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

/** Puts a proxy before the database's socket. */
export async function startDatabaseProxy(postgres: TestPostgres, url: string): Promise<DatabaseProxy> {
  const folder = await mkdtemp(join(tmpdir(), "px-"));
  const sockets = new Set<Socket>();
  let trigger: string | undefined;
  let cuts = 0;
  const server = createServer((client) => {
    const target = connect(postgres.socketFile);
    let armed = false;
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.on("data", (chunk: Buffer) => {
      if (proxy.stalled) return;
      if (trigger !== undefined && chunk.includes(trigger)) armed = true;
      target.write(chunk);
    });
    target.on("data", (chunk: Buffer) => {
      if (proxy.stalled) return;
      if (armed && trigger !== undefined) {
        trigger = undefined;
        cuts += 1;
        client.destroy();
        return;
      }
      client.write(chunk);
    });
  });
  server.listen(join(folder, ".s.PGSQL.5432"));
  await once(server, "listening");
  const proxy: DatabaseProxy = {
    url: url.replace(encodeURIComponent(postgres.socketFolder), encodeURIComponent(folder)),
    stalled: false,
    cutAfterAnswerTo(text) {
      trigger = text;
    },
    get cuts() {
      return cuts;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
      await rm(folder, { recursive: true, force: true });
    },
  };
  return proxy;
}
