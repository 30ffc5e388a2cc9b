import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** The address of whoever sent a request, `-` when it is no longer known. */
export type RemoteAddress = (req: IncomingMessage) => string;

/**
 * Reads `X-Forwarded-For` only when the peer is one of the trusted proxies (CIDRs or addresses), from the right,
 * past every trusted hop: what stands left of the first stranger may be forged (reliability H26). `Forwarded` is not
 * heard: a proxy that writes the one passes the other on as its client wrote it. An entry that is no address or CIDR
 * is a bug of the configuration check and throws.
 */
export function createRemoteAddress(trustedProxies: readonly string[]): RemoteAddress {
  const trusted = new BlockList();
  for (const entry of trustedProxies) addTo(trusted, entry);
  const isTrusted = (address: string): boolean =>
    trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return (req) => {
    const peer = plain(req.socket.remoteAddress ?? "");
    if (isIP(peer) === 0) return "-";
    const forwarded = req.headers["x-forwarded-for"];
    if (forwarded === undefined || trustedProxies.length === 0 || !isTrusted(peer)) return peer;
    let nearest = peer;
    const hops = (typeof forwarded === "string" ? forwarded : forwarded.join(",")).split(",");
    for (let i = hops.length - 1; i >= 0; i -= 1) {
      const hop = hopAddress(hops[i] ?? "");
      if (isIP(hop) === 0) break;
      nearest = hop;
      if (!isTrusted(hop)) break;
    }
    return nearest;
  };
}

/** Whether the connection's other end is one of these (CIDRs or addresses), whatever its headers say. */
export function createPeerCheck(trusted: readonly string[]): (req: IncomingMessage) => boolean {
  const list = new BlockList();
  for (const entry of trusted) addTo(list, entry);
  return (req) => {
    const peer = plain(req.socket.remoteAddress ?? "");
    return isIP(peer) !== 0 && list.check(peer, isIP(peer) === 6 ? "ipv6" : "ipv4");
  };
}

/** Whom limits count by: an IPv4 address, or the /64 of an IPv6 one, which is what one subscriber has. */
export function sourceOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array<string>(zeros).fill("0"), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/**
 * The first `X-Forwarded-For` entry, whoever sent it, as `log.access.x_forwarded_for` asks for; `-` when there is none
 * that is an address (sygnal-compat 14). For the log alone: a caller writes there what he likes.
 */
export const claimedAddress: RemoteAddress = (req) => {
  const forwarded = req.headers["x-forwarded-for"];
  const first = hopAddress(
    ((typeof forwarded === "string" ? forwarded : forwarded?.[0]) ?? "").split(",")[0] ?? "",
  );
  return isIP(first) === 0 ? "-" : first;
};

function addTo(list: BlockList, entry: string): void {
  const [address = "", bits] = entry.split("/");
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(bits), family);
}

/** An entry of `X-Forwarded-For`, without the port that some proxies add and the brackets around IPv6. */
function hopAddress(entry: string): string {
  const text = entry.trim();
  const [, inBrackets] = /^\[([^[\]]*)\](?::\d{1,5})?$/.exec(text) ?? [];
  return plain(inBrackets ?? text.replace(/^([\d.]+):\d{1,5}$/, "$1"));
}

/** An IPv4 caller of a dual-stack socket shows up as `::ffff:a.b.c.d`. */
function plain(address: string): string {
  const lower = address.toLowerCase();
  return lower.startsWith("::ffff:") && lower.includes(".") ? lower.slice(7) : lower;
}
