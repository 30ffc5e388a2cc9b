import { parseEndpoint } from "../../src/upstream/endpoint-url.ts";

describe("an endpoint's URL", () => {
  it("is read once, and sent to as it was read", () => {
    const endpoint = parseEndpoint("HTTPS://Push.Example.NET:443/a/../b?token=%41#".slice(0, -1));
    expect(endpoint).toMatchObject({
      host: "push.example.net",
      port: 443,
      literal: 0,
      isPlainHttp: false,
      isOdd: false,
    });
    expect(endpoint?.url.href).toBe("https://push.example.net/b?token=%41");
  });

  it.each([
    ["https://localhost./x", "localhost"],
    ["https://127.0.0.1./x", "127.0.0.1"],
    ["https://0x7f.1/", "127.0.0.1"],
    ["https://2130706433/", "127.0.0.1"],
    ["https://１２７.0.0.1/", "127.0.0.1"],
    ["https://[::FFFF:127.0.0.1]/", "::ffff:7f00:1"],
    ["https://push.example.net:8443/", "push.example.net"],
    ["https://münchen.example/", "xn--mnchen-3ya.example"],
    ["https:\\\\push.example.net\\x", "push.example.net"],
    [" https://push.example.net/", "push.example.net"],
    ["https://push.exa\nmple.net/", "push.example.net"],
  ])("%j leads to %s", (text, host) => {
    expect(parseEndpoint(text)?.host).toBe(host);
  });

  it.each([
    ...["", "push.example.net", "//push.example.net/", "ftp://push.example.net/", "file:///etc/passwd"],
    ...[
      "unix:/var/run/docker.sock",
      "gopher://push.example.net/",
      "javascript:alert(1)",
      "data:,x",
      "https://",
    ],
    ...[
      "https:///",
      "https://./",
      "https://../",
      "https://a b/",
      "https://exa%00mple.net/",
      "https://[fe80::1%25eth0]/",
    ],
    ...[
      "https://push.example.net:99999/",
      "https://1.2.3.4.5/",
      "https://256.1.1.1/",
      "https://0x1ffffffff/",
    ],
    ...[
      "https://push.example.net/\0",
      `https://push.example.net/${"a".repeat(2048)}`,
      "wss://push.example.net/",
    ],
    `https://push.example.net/${"é".repeat(400)}`,
  ])("%j is none", (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  it.each(["https://user@push.example.net/", "https://u:p@push.example.net/", "https://push.example.net/#f"])(
    "%s is odd",
    (text) => {
      expect(parseEndpoint(text)?.isOdd).toBe(true);
    },
  );
});
