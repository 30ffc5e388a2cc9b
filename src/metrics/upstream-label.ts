/** The push services that browsers use, by the ends of their hosts' names (webpush.md). */
const pushServices = [
  "fcm.googleapis.com",
  "updates.push.services.mozilla.com",
  "web.push.apple.com",
  "notify.windows.com",
] as const;

/**
 * The value of the label `upstream`: the host where the configuration names it, and of the hosts that users choose
 * only those that are known; strangers must not be able to make series.
 */
export function upstreamLabel(host: string, isUsersChoice: boolean): string {
  if (!isUsersChoice) return host;
  return pushServices.find((known) => host === known || host.endsWith(`.${known}`)) ?? "other";
}
