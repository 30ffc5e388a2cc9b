/** The upstream of `http2-clients.ts`, in a process of its own: says its port, and its CPU time when asked. */
import { testCertificate } from "../test/support/upstream-server.ts";
import { startLeanUpstream } from "./lean-upstream.ts";

const { cert, key } = testCertificate("localhost");
const upstream = await startLeanUpstream({ certPem: cert, keyPem: key }, { headers: Buffer.from([0x88]) });
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
process.on("disconnect", () => process.exit());
process.send?.(upstream.port);
