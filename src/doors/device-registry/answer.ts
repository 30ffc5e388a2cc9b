import type { RegisteredDevice } from "../../core/registrations.ts";
import type { ListingBody } from "./schema.ts";

/** A device with the upstream that its app's entry is for. */
export interface ServedDevice {
  readonly device: RegisteredDevice;
  readonly system: "apns" | "fcm";
}

/** `GET /api/push`: the devices in their order, each once, as its latest registration has it. Pure. */
export function listingOf(devices: readonly ServedDevice[]): ListingBody {
  const fcm = new Set<string>();
  const apns = new Map<string, RegisteredDevice>();
  for (const { device, system } of devices) {
    const { pushkey } = device;
    if (system === "fcm") {
      fcm.add(pushkey);
      continue;
    }
    const earlier = apns.get(pushkey);
    if (earlier === undefined || knowsBetter(device, earlier)) apns.set(pushkey, device);
  }
  return {
    fcm: { device_tokens: [...fcm] },
    apns: {
      device_tokens: Object.fromEntries(
        [...apns].map(([pushkey, { apnsTopic, appId, applicationId, sandbox }]) => [
          pushkey,
          {
            application_id: applicationId ?? appId,
            sandbox: sandbox ?? false,
            ...(apnsTopic === undefined ? {} : { apns_topic: apnsTopic }),
          },
        ]),
      ),
    },
  };
}

/** Of one token reported by its app and registered here, the registration knows more. */
function knowsBetter(device: RegisteredDevice, earlier: RegisteredDevice): boolean {
  if ((device.kind === "registry") !== (earlier.kind === "registry")) return device.kind === "registry";
  return device.lastSeenMs > earlier.lastSeenMs;
}
