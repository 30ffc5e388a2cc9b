import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** A block of addresses: the first `bits` of 16 bytes. IPv4 stands at its place in `::ffff:0:0/96`. */
interface Block {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

const V4_BITS = 96;

/** Special-purpose blocks of the IANA registries (webpush.md 5). */
const FORBIDDEN_V4 = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  ...["192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"],
  ...["198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
].map(parseBlock);

/** Within 2000::/3; all that lies outside of it is forbidden anyway, but for what carries an IPv4 address. */
const FORBIDDEN_V6 = ["2001::/23", "2001:db8::/32", "3fff::/20"].map(parseBlock);
const GLOBAL_UNICAST = parseBlock("2000::/3");

/** Where an IPv6 address of these blocks carries the IPv4 address that a packet ends at. */
const CARRIERS: ReadonlyArray<readonly [block: Block, offset: number]> = [
  [parseBlock("::ffff:0:0/96"), 12],
  [parseBlock("64:ff9b::/96"), 12],
  [parseBlock("2002::/16"), 2],
];

/** How long the machine's own addresses are believed to be the same. */
const OWN_ADDRESSES_FOR_MS = 10_000;

/**
 * Which addresses user-supplied endpoints may reach: public ones that are not this machine's own, and what the
 * operator lists. Everything is decided on the address that is about to be connected to, never on a name.
 */
export class AddressGuard {
  readonly #allowed: readonly Block[];
  readonly #ownAddresses: () => readonly string[];
  #own: { readonly untilMs: number; readonly blocks: readonly Block[] } | undefined;

  /**
   * @param allowed CIDRs that may be reached although they are not public
   * @param ownAddresses this machine's; a test's are its own
   */
  constructor(allowed: readonly string[], ownAddresses: () => readonly string[] = addressesOfThisMachine) {
    this.#allowed = allowed.map(parseBlock);
    this.#ownAddresses = ownAddresses;
  }

  /** Whether the operator lists it. */
  isListed(address: string): boolean {
    const bytes = addressBytes(address);
    return bytes !== undefined && this.#allowed.some((block) => isIn(bytes, block));
  }

  /** Whether it may be connected to. What is no address may not. */
  isAllowed(address: string): boolean {
    const bytes = addressBytes(address);
    if (bytes === undefined) return false;
    if (this.#allowed.some((block) => isIn(bytes, block))) return true;
    return isPublic(bytes) && !this.#isOwn(bytes);
  }

  #isOwn(bytes: Uint8Array): boolean {
    const nowMs = performance.now();
    if (this.#own === undefined || nowMs >= this.#own.untilMs) {
      const blocks = this.#ownAddresses().flatMap((address) => {
        const own = addressBytes(address);
        return own === undefined ? [] : [{ bytes: own, bits: 128 }];
      });
      this.#own = { untilMs: nowMs + OWN_ADDRESSES_FOR_MS, blocks };
    }
    return this.#own.blocks.some((block) => isIn(bytes, block));
  }
}

function addressesOfThisMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

function isPublic(bytes: Uint8Array): boolean {
  const carrier = CARRIERS.find(([block]) => isIn(bytes, block));
  if (carrier !== undefined) return isPublicV4(bytes.subarray(carrier[1], carrier[1] + 4));
  if (!isIn(bytes, GLOBAL_UNICAST) || FORBIDDEN_V6.some((block) => isIn(bytes, block))) return false;
  // ISATAP: an interface identifier 0000:5efe or 0200:5efe carries an IPv4 address (RFC 5214 6.1).
  const isIsatap =
    (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
  return !isIsatap || isPublicV4(bytes.subarray(12));
}

function isPublicV4(v4: Uint8Array): boolean {
  const bytes = mapped(v4);
  return !FORBIDDEN_V4.some((block) => isIn(bytes, block));
}

function isIn(bytes: Uint8Array, { bytes: prefix, bits }: Block): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i += 1) if (bytes[i] !== prefix[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((bytes[whole] ?? 0) ^ (prefix[whole] ?? 0)) >> (8 - rest) === 0;
}

/** @param cidr `address/prefix`, as config/cidr.ts leaves it */
function parseBlock(cidr: string): Block {
  const [address = "", prefix = ""] = cidr.split("/");
  const bytes = addressBytes(address);
  if (bytes === undefined) throw new Error("not a block of addresses");
  return { bytes, bits: Number(prefix) + (isIPv4(address) ? V4_BITS : 0) };
}

/** The 16 bytes of an address; IPv4 as IPv4-mapped. Undefined for anything else, and for one with a zone. */
function addressBytes(address: string): Uint8Array | undefined {
  if (isIPv4(address)) return mapped(Uint8Array.from(address.split("."), Number));
  if (!isIPv6(address) || address.includes("%")) return undefined;
  const [head = "", tail] = address.split("::");
  const left = groupsOf(head);
  const right = groupsOf(tail ?? "");
  const gap = tail === undefined ? 0 : 16 - left.length - right.length;
  return Uint8Array.from([...left, ...new Array<number>(gap).fill(0), ...right]);
}

/** The bytes of `a:b:c`, which may end in a dotted IPv4 address. */
function groupsOf(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function mapped(v4: Uint8Array): Uint8Array {
  return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...v4]);
}
