import { isIP } from "node:net";

/**
 * A block of addresses as `address/prefix`; a bare address is a block of one. Undefined when it is neither.
 * Bits beyond the prefix are left as written: whoever compares masks them.
 */
export function normaliseCidr(text: string): string | undefined {
  const [address = "", prefix, ...rest] = text.trim().split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || address.includes("%")) return undefined;
  const bits = family === 4 ? 32 : 128;
  if (prefix === undefined) return `${address}/${bits}`;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits ? `${address}/${Number(prefix)}` : undefined;
}

/** 127.0.0.0/8, `::1` (also as an IPv4-mapped address) and the name `localhost`. */
export function isLoopback(address: string): boolean {
  const bare = address.toLowerCase().replace(/^::ffff:/, "");
  if (bare === "localhost" || bare === "::1" || bare === "0:0:0:0:0:0:0:1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}
