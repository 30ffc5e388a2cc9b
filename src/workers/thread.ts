import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { Gateway } from "../gateway.ts";
import type { Prepared } from "../gateway/live.ts";
import { reasonOf } from "../gateway/start-error.ts";
import { errorFields } from "../log.ts";
import { logOptionsFrom } from "../log/setup.ts";
import { valuesOf } from "../metrics/summed.ts";
import { boardNews } from "./board-news.ts";
import { createForwardedLog } from "./forwarded-log.ts";
import { Line, type Handlers } from "./line.ts";
import type { ThreadData, ToFirst, ToThread } from "./messages.ts";
import { shareOver, type ThreadInside } from "./part.ts";
import { fromPortable } from "./portable-config.ts";
import { RemoteGuard } from "./remote-guard.ts";

// One of several threads that serve (`workers`), not the first: a whole gateway on the first one's ports and store. What
// nobody catches in here ends the thread, and the first thread starts another.

// As in main.ts: the process's other threads do not see it.
Reflect.deleteProperty(Object.prototype, "__proto__");

const data = workerData as ThreadData;
const port = parentPort;
if (port === null) throw new Error("thread.ts is started as a worker thread");
const clock = systemClock;
const config = fromPortable(data.config);

const running = Promise.withResolvers<{ readonly gateway: Gateway; readonly inside: ThreadInside }>();
let prepared: Prepared | undefined;

const handlers: Handlers<ToThread> = {
  async prepare(next) {
    const { inside } = await running.promise;
    try {
      prepared = await inside.prepare(fromPortable(next));
      return null;
    } catch (error) {
      return reasonOf(error);
    }
  },
  commit() {
    prepared?.commit();
    prepared = undefined;
    return true;
  },
  async discard() {
    await prepared?.discard();
    prepared = undefined;
    return null;
  },
  async stop(options) {
    const { gateway } = await running.promise;
    await gateway.stop(options);
    await log.close();
    return null;
  },
  ping: () => true,
  metrics: async () => valuesOf((await running.promise).inside.registry),
  history: async ({ by, limit }) => (await running.promise).inside.history?.own(by, limit) ?? [],
  refused: async (request) => (await running.promise).inside.refusals.find(request),
  async state() {
    const { inside } = await running.promise;
    return {
      inFlight: [...inside.apps().values()].map(
        ({ inFlight, name }) => [name, inFlight.count, inFlight.limit] as const,
      ),
      circuits: inside.engine.circuits(),
    };
  },
  answerFor: async ({ key, withinMs }) => (await running.promise).inside.engine.answerFor(key, withinMs),
  takeBack: async ({ id, token }) => (await running.promise).inside.engine.takeBack(id, token),
};

const line = new Line<ToFirst, ToThread>(port, handlers, (error) =>
  log.error("a message of the first thread failed by a fault of ours", errorFields(error)),
);
const { level = "info" } = logOptionsFrom(config.log.setup).options;
const log = createForwardedLog(level, data.lines, (lines) => line.tell("lines", lines));

try {
  const gateway = await Gateway.create({
    config,
    clock,
    log,
    // The first thread meets it too, and ends the process.
    onFatal: () => {},
    part: {
      share: shareOver(data.memory, {
        index: data.index,
        threads: data.threads,
        owner: data.owner,
        clock,
        answerFrom: (thread, key, withinMs) => line.ask("answerFrom", { thread, key, withinMs }),
        handBack: async (id, token) => (await line.ask("handBack", { id, token })) === true,
      }),
      forApps: {
        threads: data.threads,
        guardFor: (app, fingerprint, policy) => new RemoteGuard({ app, fingerprint, policy, line, clock }),
      },
      first: {
        listen: data.listen,
        ...(data.seat === undefined ? {} : { seat: data.seat }),
        observer: boardNews(clock, (news) => line.tell("board", news)),
      },
    },
  });
  await gateway.start();
  running.resolve({ gateway, inside: gateway.inside });
  line.tell("ready", null);
} catch (error) {
  line.tell("refused", reasonOf(error));
  // Nothing keeps the thread from ending.
  port.close();
}
