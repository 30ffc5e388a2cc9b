import type { IncomingMessage } from "node:http";
import { claimedAddress, createRemoteAddress } from "../../src/http/remote-address.ts";

function request(peer: string | undefined, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage;
}

describe("the caller's address", () => {
  it.each([
    ["no proxy is trusted", [], "198.51.100.1", "203.0.113.9", "198.51.100.1"],
    ["the peer is a stranger", ["10.0.0.0/8"], "198.51.100.1", "203.0.113.9", "198.51.100.1"],
    ["the peer is trusted", ["10.0.0.0/8"], "10.1.1.1", "203.0.113.9", "203.0.113.9"],
    ["the peer is trusted and says nothing", ["10.0.0.0/8"], "10.1.1.1", undefined, "10.1.1.1"],
    ["a forged entry stands left", ["10.0.0.0/8"], "10.1.1.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"],
    ["trusted hops follow", ["10.0.0.0/8"], "10.1.1.1", "203.0.113.9, 10.2.2.2", "203.0.113.9"],
    ["all hops are trusted", ["0.0.0.0/0"], "10.1.1.1", "203.0.113.9, 10.2.2.2", "203.0.113.9"],
    ["rubbish stands left", ["10.0.0.0/8"], "10.1.1.1", "<script>, 10.2.2.2", "10.2.2.2"],
    ["only rubbish came", ["10.0.0.0/8"], "10.1.1.1", ",,;", "10.1.1.1"],
    ["the peer is IPv4 in IPv6", ["10.0.0.0/8"], "::ffff:10.1.1.1", "2001:db8::1", "2001:db8::1"],
    ["one address is trusted", ["2001:DB8::5"], "2001:db8::5", "203.0.113.9", "203.0.113.9"],
    ["the proxy adds the port", ["10.0.0.0/8"], "10.1.1.1", "1.2.3.4, 203.0.113.9:51234", "203.0.113.9"],
    ["the proxy adds the port to IPv6", ["10.0.0.0/8"], "10.1.1.1", "[2001:db8::1]:443", "2001:db8::1"],
    ["IPv6 stands in brackets", ["10.0.0.0/8"], "10.1.1.1", "[2001:DB8::1]", "2001:db8::1"],
    ["brackets hold none", ["10.0.0.0/8"], "10.1.1.1", "203.0.113.9, [::g]", "10.1.1.1"],
    ["the port is none", ["10.0.0.0/8"], "10.1.1.1", "203.0.113.9:port", "10.1.1.1"],
    ["an address has a zone", ["10.0.0.0/8"], "10.1.1.1", "fe80::1%eth0", "fe80::1%eth0"],
    [
      "a trusted hop has a zone",
      ["10.0.0.0/8", "fe80::/10"],
      "10.1.1.1",
      "192.0.2.7, fe80::1%eth0",
      "192.0.2.7",
    ],
    ["the peer has a zone", ["fe80::/10"], "fe80::1%eth0", "192.0.2.7", "192.0.2.7"],
    ["an entry is unknown", ["10.0.0.0/8"], "10.1.1.1", "203.0.113.9, unknown", "10.1.1.1"],
    [
      "there are a thousand hops",
      ["10.0.0.0/8"],
      "10.1.1.1",
      `1.2.3.4${", 10.2.2.2".repeat(1000)}`,
      "1.2.3.4",
    ],
    ["the connection is gone", ["10.0.0.0/8"], undefined, "203.0.113.9", "-"],
  ])("when %s", (_title, trusted, peer, forwarded, address) => {
    expect(createRemoteAddress(trusted)(request(peer, forwarded))).toBe(address);
  });
});

it("says nothing by other headers, whoever sends them", () => {
  const headers = {
    forwarded: "for=203.0.113.9",
    "x-real-ip": "203.0.113.9",
    "x-client-ip": "203.0.113.9",
    "true-client-ip": "203.0.113.9",
  };
  for (const peer of ["10.1.1.1", "198.51.100.1"]) {
    const req = { socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage;
    expect(createRemoteAddress(["10.0.0.0/8"])(req)).toBe(peer);
  }
});

describe("the address that the access log shows with `x_forwarded_for` (sygnal-compat 14)", () => {
  it.each([
    ["the first of several", "203.0.113.9, 10.2.2.2", "203.0.113.9"],
    ["the only one", "2001:db8::1", "2001:db8::1"],
    ["none when none was sent", undefined, "-"],
    ["none when it is no address", "<script>, 10.2.2.2", "-"],
    ["none when it is empty", "", "-"],
  ])("is %s", (_title, forwarded, address) => {
    expect(claimedAddress(request("198.51.100.1", forwarded))).toBe(address);
  });
});
