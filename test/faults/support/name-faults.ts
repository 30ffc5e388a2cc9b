import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { startRelay } from "../../support/relay.ts";
import { IOS } from "../../support/with-gateway.ts";
import { skip } from "../fault.ts";
import { expectKept } from "../ledger.ts";
import { totalStates } from "./outbox-states.ts";
import { withRig } from "./rig.ts";
import { sleep, until } from "./shared.ts";

type Mode = "nxdomain" | "servfail" | "silent";

/** An address of loopback that nothing else uses; a resolver can only be on port 53. */
const RESOLVER = "127.0.53.153";

/** A DNS server that answers every question in one way. */
async function startDns(mode: () => Mode): Promise<{ readonly socket: Socket; asked: () => number }> {
  const socket = createSocket("udp4");
  let asked = 0;
  socket.on("error", () => {});
  socket.on("message", (query, from) => {
    asked += 1;
    if (mode() === "silent") return;
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8180 | (mode() === "nxdomain" ? 3 : 2), 2);
    // No additional section: what the query brought there is left out.
    answer.writeUInt16BE(0, 10);
    socket.send(answer.subarray(0, endOfQuestion(query)), from.port, from.address);
  });
  socket.bind(53, RESOLVER);
  await Promise.race([
    once(socket, "listening"),
    once(socket, "error").then(() => skip("port 53 of a loopback address is not to be had")),
  ]);
  return { socket, asked: () => asked };
}

function endOfQuestion(query: Buffer): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += (query[at] ?? 0) + 1;
  return at + 5;
}

/**
 * UA19: a gateway that sees its own /etc/hosts and /etc/resolv.conf, in a mount namespace. First its name does not
 * resolve in three ways, then it resolves, then its address changes and the old one is gone.
 */
export async function changingAddresses(): Promise<string> {
  if (process.getuid?.() !== 0 || spawnSync("unshare", ["-m", "true"]).status !== 0) {
    skip("needs root, for a name server of the gateway's own");
  }
  let mode: Mode = "nxdomain";
  const dns = await startDns(() => mode);
  try {
    return await withRig({}, async (rig) => {
      const hosts = join(rig.directory, "hosts");
      const resolv = join(rig.directory, "resolv.conf");
      const first = await startRelay(Number(new URL(rig.upstreams.apns).port));
      const noHosts = "127.0.0.1 gateway-itself\n";
      await writeFile(hosts, noHosts);
      await writeFile(resolv, `nameserver ${RESOLVER}\noptions timeout:1 attempts:1\n`);
      const script = `mount --bind "${hosts}" /etc/hosts && mount --bind "${resolv}" /etc/resolv.conf && exec "$@"`;
      const gateway = await rig.gateway({
        wrapper: ["unshare", "-m", "sh", "-c", script, "sh"],
        // The simulator's certificate is for this name.
        ios: { endpoint: `https://localhost:${first.port}` },
        config: { delivery: { answer_within: "500ms", drain_delay: "100ms" } },
      });
      try {
        await gateway.start();
        const load = rig.load({ urls: [gateway.url], perSecond: 0 });
        for (const each of ["nxdomain", "servfail", "silent"] as const) {
          mode = each;
          for (let i = 0; i < 3; i += 1) assert.equal((await load.push(IOS)).how, "ok", each);
          await sleep(1_200);
        }
        const { pending, rejected, dropped } = totalStates(await gateway.scrape());
        assert.deepEqual([pending, rejected, dropped], [9, 0, 0]);
        assert.ok(dns.asked() > 0, "the name server was never asked");
        const asked = dns.asked();
        assert.ok(asked <= 40, `asked ${asked} times: no back-off`);
        await writeFile(hosts, `${noHosts}127.0.0.1 localhost\n`);
        const backMs = await until(
          "the pushes that waited",
          async () => totalStates(await gateway.scrape()).pending === 0,
          40_000,
        );
        // The address changes: what is at the old one ends its connections and takes no new ones.
        await rig.upstreams.closeConnections("apns");
        const connections = first.sockets.length;
        await sleep(1_100);
        assert.equal((await load.push(IOS)).how, "ok");
        assert.ok(first.sockets.length > connections, "no new connection");
        await load.stop();
        expectKept(await rig.settle(gateway, 30_000));
        return `9 waited through 3 kinds of failure (${asked} questions), all sent ${(backMs / 1_000).toFixed(0)} s after the name was back`;
      } finally {
        await first.close();
      }
    });
  } finally {
    dns.socket.close();
  }
}
