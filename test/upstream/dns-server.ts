import { createSocket } from "node:dgram";

/** What a name server says of a name: addresses by family, an error, or nothing at all. */
export interface DnsAnswer {
  readonly a?: readonly string[];
  /** Each of 16 bytes, in hex. */
  readonly aaaa?: readonly string[];
  /** RFC 1035 4.1.1: 2 server failure, 3 no such name. */
  readonly rcode?: number;
  /** Families that get no answer. */
  readonly silent?: "a" | "aaaa" | "both";
}

/** A name server on loopback that answers by script, with a time to live of 0. */
export interface DnsServer {
  /** `address:port`. */
  readonly address: string;
  /** Names asked for, `a NAME` or `aaaa NAME`, in order. */
  readonly asked: string[];
  close(): Promise<void>;
}

export async function startDnsServer(answer: (name: string) => DnsAnswer): Promise<DnsServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("error", () => {});
  socket.on("message", (query, peer) => {
    const { name, end } = readName(query);
    const family = query.readUInt16BE(end) === 28 ? "aaaa" : "a";
    asked.push(`${family} ${name}`);
    const { silent, rcode = 0, ...addresses } = answer(name);
    if (silent === "both" || silent === family) return;
    const records = (addresses[family] ?? []).map((address) => record(family, address));
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180 | rcode, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, query.subarray(12, end + 4), ...records]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** The question's name, and where it ends. */
function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

function record(family: "a" | "aaaa", address: string): Buffer {
  const data = family === "a" ? Buffer.from(address.split(".").map(Number)) : Buffer.from(address, "hex");
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(family === "a" ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(0, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
