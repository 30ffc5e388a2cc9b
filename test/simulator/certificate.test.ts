import { X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { createAuthority } from "../../src/simulator/certificate.ts";

const now = Date.now();
const authority = createAuthority("Test CA", now);
const leaf = authority.issueServer(["localhost", "127.0.0.1", "::1"]);

/** Connects with these options and says how the handshake ended. */
async function handshake(options: { ca?: string; servername?: string; host?: string }): Promise<string> {
  const server = createServer({ key: leaf.keyPem, cert: leaf.certPem }, (socket) =>
    socket.on("error", () => {}).end(),
  );
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const result = await new Promise<string>((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", ...options });
    socket.once("secureConnect", () => {
      resolve("accepted");
      socket.destroy();
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?"));
  });
  await new Promise((resolve) => server.close(resolve));
  return result;
}

describe("server certificate", () => {
  it("is accepted by a client that trusts the authority", async () => {
    expect(await handshake({ ca: authority.certPem })).toBe("accepted");
    expect(await handshake({ ca: authority.certPem, servername: "localhost" })).toBe("accepted");
  });

  it("is refused by a client that does not", async () => {
    expect(await handshake({})).not.toBe("accepted");
    expect(await handshake({ ca: createAuthority("Test CA", now).certPem })).not.toBe("accepted");
  });

  it("is refused under a name that it does not carry", async () => {
    expect(await handshake({ ca: authority.certPem, servername: "example.com" })).toBe(
      "ERR_TLS_CERT_ALTNAME_INVALID",
    );
  });

  it("carries names, both kinds of addresses, and chains to the authority", () => {
    const certificate = new X509Certificate(leaf.certPem);
    const ca = new X509Certificate(authority.certPem);
    expect(certificate.subjectAltName).toBe(
      "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    );
    expect(certificate.checkIP("::1")).toBe("::1");
    expect(certificate.checkIssued(ca)).toBe(true);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(ca.ca).toBe(true);
    expect(certificate.validFromDate.getTime()).toBeLessThan(now);
    expect(certificate.validToDate.getTime()).toBeGreaterThan(now + 300 * 86_400_000);
    expect(certificate.fingerprint256).toBe(leaf.fingerprint256);
  });

  it.each([
    ["2001:db8::7", "2001:DB8:0:0:0:0:0:7"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["fe80::1:2", "FE80:0:0:0:0:0:1:2"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ])("writes the address %s in full", (host, printed) => {
    const { certPem } = authority.issueServer([host]);
    expect(new X509Certificate(certPem).subjectAltName).toBe(`IP Address:${printed}`);
  });

  it("dates years from 2050 on in the four-digit form", () => {
    const far = createAuthority("Far CA", Date.UTC(2049, 11, 31), 30);
    const certificate = new X509Certificate(far.certPem);
    expect(certificate.validFromDate.getUTCFullYear()).toBe(2049);
    expect(certificate.validToDate.toISOString()).toBe("2050-01-30T00:00:00.000Z");
  });
});

describe("APNs client certificate", () => {
  it("names the first topic as UID and lists topics and environments as Apple's extensions", () => {
    const issued = authority.issueApnsClient({
      topics: ["com.example.app", "com.example.app.voip"],
      environments: ["production", "sandbox"],
    });
    const certificate = new X509Certificate(issued.certPem);
    expect(certificate.subject).toContain("UID=com.example.app");
    expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
    const raw = certificate.raw;
    const oid = (hexTail: string): Buffer => Buffer.from(`2a864886f7636406${hexTail}`, "hex");
    expect(raw.includes(oid("0301"))).toBe(true); // sandbox
    expect(raw.includes(oid("0302"))).toBe(true); // production
    const topics = raw.subarray(raw.indexOf(oid("0306")));
    expect(topics.includes("com.example.app.voip")).toBe(true);
    expect(issued.keyPem).toContain("BEGIN PRIVATE KEY");
  });
});
