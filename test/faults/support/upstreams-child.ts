// The simulators in a process of their own: nothing that is done to the gateway touches them or their ledger.
// argv: the directory for credentials, the ledger's file, and the latency in milliseconds.
import { startSimulators } from "../../../src/simulator/index.ts";
import { writeWorkspace } from "../../../src/simulator/workspace.ts";
import { AppendOnly } from "../ledger.ts";

const [directory = "", ledgerFile = "", latency = "0"] = process.argv.slice(2);
const delay = Number(latency);
const simulators = await startSimulators({
  controlPort: 0,
  record: "count",
  apns: { latency: delay },
  fcm: { latency: delay },
});
const ledger = new AppendOnly(ledgerFile);
simulators.recorder.listen(({ upstream, token, headers, accepted, atMs }) => {
  if (upstream === "oauth") return;
  ledger.write(accepted ? "accepted" : "refused", token ?? "-", headers["apns-id"] ?? "-", atMs);
});
const files = await writeWorkspace(simulators, directory);
const { apnsKey, projectId } = simulators.credentials;
process.stdout.write(
  `${JSON.stringify({
    apns: simulators.apns.url,
    fcm: simulators.fcm.url,
    control: simulators.control?.url ?? "",
    keyId: apnsKey.keyId,
    teamId: apnsKey.teamId,
    projectId,
    files,
  })}\n`,
);
// It ends with the run that started it, whatever became of that.
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
