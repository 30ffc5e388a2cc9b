import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppendOnly, balance, readReceived, readSent, type Balance } from "../ledger.ts";
import { createGatewayProcess, type GatewayProcess, type GatewayProcessOptions } from "./gateway-process.ts";
import { startLoad, type Load, type LoadOptions } from "./load.ts";
import { totalStates } from "./outbox-states.ts";
import { sleep } from "./shared.ts";
import { startUpstreams, type Upstreams } from "./upstreams.ts";

/** Three processes: this one sends, the gateway, the upstreams; and the two ledgers. */
export interface Rig {
  readonly directory: string;
  readonly upstreams: Upstreams;
  readonly sentFile: string;
  readonly receivedFile: string;
  /** A gateway on this rig's upstreams; ended with the rig. */
  gateway(options?: Omit<GatewayProcessOptions, "directory" | "upstreams">): Promise<GatewayProcess>;
  load(options: Omit<LoadOptions, "ledger">): Load;
  /** Scrapes every so often from now on and holds the states against their sum. Resolves with how often. */
  watch(gateway: GatewayProcess): () => number;
  /** Waits until nothing is promised any more, then compares the ledgers. */
  settle(gateway: GatewayProcess, withinMs: number): Promise<Balance>;
}

/** Makes a rig, lends it, and takes it down whatever happens. */
export async function withRig<T>(
  options: { readonly latencyMs?: number },
  work: (rig: Rig) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-faults-"));
  const sentFile = join(directory, "sent.ledger");
  const receivedFile = join(directory, "received.ledger");
  const sent = new AppendOnly(sentFile);
  const upstreams = await startUpstreams(join(directory, "upstreams"), receivedFile, options.latencyMs ?? 0);
  const gateways: GatewayProcess[] = [];
  const loads: Load[] = [];
  const watches = new Set<() => number>();
  const rig: Rig = {
    directory,
    upstreams,
    sentFile,
    receivedFile,
    async gateway(gatewayOptions) {
      const gateway = await createGatewayProcess({ directory, upstreams, ...gatewayOptions });
      gateways.push(gateway);
      return gateway;
    },
    load(loadOptions) {
      const load = startLoad({ ledger: sent, ...loadOptions });
      loads.push(load);
      return load;
    },
    watch(gateway) {
      let scrapes = 0;
      let problem: Error | undefined;
      let over = false;
      const look = async (): Promise<void> => {
        while (!over) {
          try {
            // A gateway that is just being killed gives no answer; one that answers must add up.
            const text = await gateway.scrape().catch(() => undefined);
            if (text !== undefined) {
              totalStates(text);
              scrapes += 1;
            }
          } catch (error) {
            problem ??= error instanceof Error ? error : new Error(String(error));
          }
          await sleep(250);
        }
      };
      void look();
      const stop = (): number => {
        over = true;
        watches.delete(stop);
        if (problem !== undefined) throw problem;
        return scrapes;
      };
      watches.add(stop);
      return stop;
    },
    async settle(gateway, withinMs) {
      const endMs = performance.now() + withinMs;
      for (;;) {
        const states = totalStates(await gateway.scrape());
        if (states.pending === 0) {
          const { dropped, expired, rejected } = states;
          return balance(readSent(sentFile), readReceived(receivedFile), dropped + expired + rejected);
        }
        if (performance.now() > endMs)
          throw new Error(`${states.pending} promised pushes still wait after ${withinMs} ms`);
        await sleep(100);
      }
    },
  };
  try {
    return await work(rig);
  } finally {
    for (const stop of watches) {
      try {
        stop();
      } catch {
        // The row has failed already, or has looked.
      }
    }
    for (const load of loads) await load.stop(0);
    for (const gateway of gateways) await gateway.kill();
    await upstreams.stop();
    sent.close();
    await rm(directory, { recursive: true, force: true });
  }
}
