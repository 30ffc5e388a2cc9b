import type { Fault } from "./fault.ts";
import { apnsFaults } from "./rows/apns.ts";
import { badRequests } from "./rows/bad-requests.ts";
import { fcmFaults } from "./rows/fcm.ts";
import { hostileRequests } from "./rows/hostile-requests.ts";
import { limitFaults } from "./rows/limits.ts";
import { processFaults } from "./rows/process.ts";
import { configurationFaults } from "./rows/configuration.ts";
import { postgresFaults } from "./rows/postgres.ts";
import { hostileEndpoints } from "./rows/hostile-endpoints.ts";
import { pushServiceFaults } from "./rows/push-services.ts";
import { softphoneFaults } from "./rows/softphone.ts";
import { reloadFaults } from "./rows/reload.ts";
import { sqliteFaults } from "./rows/sqlite.ts";
import { upstreamFaults } from "./rows/upstreams.ts";
import { threadFaults } from "./rows/threads.ts";

/** Every row that can be run, in the order of the catalogue (reliability 2). */
export const catalogue: readonly Fault[] = [
  ...badRequests,
  ...softphoneFaults,
  ...hostileRequests,
  ...limitFaults,
  ...apnsFaults,
  ...fcmFaults,
  ...hostileEndpoints,
  ...pushServiceFaults,
  ...upstreamFaults,
  ...sqliteFaults,
  ...postgresFaults,
  ...processFaults,
  ...threadFaults,
  ...configurationFaults,
  ...reloadFaults,
];
