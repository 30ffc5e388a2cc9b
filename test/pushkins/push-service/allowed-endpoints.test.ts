import { AllowedEndpoints } from "../../../src/pushkins/push-service/allowed-endpoints.ts";
import { parseEndpoint } from "../../../src/upstream/endpoint-url.ts";

function allows(patterns: readonly string[], url: string): boolean {
  const endpoint = parseEndpoint(url);
  if (endpoint === undefined) throw new Error(url);
  return new AllowedEndpoints(patterns).allows(endpoint);
}

describe("allowed_endpoints", () => {
  it.each<[string, readonly string[], string]>([
    ["no pattern", [], "https://anything.example/x"],
    ["the host itself", ["fcm.googleapis.com"], "https://fcm.googleapis.com/fcm/send/abc"],
    ["whatever the case", ["FCM.GoogleApis.com"], "https://fcm.GOOGLEAPIS.com/x"],
    ["a star for the front", ["*.push.apple.com"], "https://web.push.apple.com/x"],
    ["a star for several labels", ["*.notify.windows.com"], "https://a.b.notify.windows.com/x"],
    ["a question mark", ["wns?-*.notify.windows.com"], "https://wns2-par02p.notify.windows.com/w/?token=x"],
    ["one of several", ["a.example", "b.example"], "https://b.example/"],
    [
      "a port that the endpoint writes and the pattern does not (G-29)",
      ["push.example"],
      "https://push.example:443/",
    ],
    [
      "a port that the pattern writes and the endpoint does not",
      ["push.example:443"],
      "https://push.example/",
    ],
    ["any port", ["push.example"], "https://push.example:8443/"],
    ["a port", ["push.example:8443"], "https://push.example:8443/"],
    ["a dot at the end of either", ["push.example."], "https://push.example./"],
    ["an address", ["192.168.1.7:8443"], "https://192.168.1.7:8443/"],
    ["an IPv6 address", ["[fd00::1]:8443"], "https://[fd00::1]:8443/"],
    ["everything", ["*"], "https://push.example/"],
  ])("takes %s", (_what, patterns, url) => {
    expect(allows(patterns, url)).toBe(true);
  });

  it.each<[string, readonly string[], string]>([
    ["another host", ["fcm.googleapis.com"], "https://fcm.googleapis.com.evil.example/"],
    ["a host that only ends so", ["push.apple.com"], "https://evilpush.apple.com/"],
    ["the host in the path", ["*fcm.googleapis.com*"], "https://evil.example/fcm.googleapis.com"],
    ["the host in the query", ["fcm.googleapis.com"], "https://evil.example/?fcm.googleapis.com"],
    ["the host as a user", ["fcm.googleapis.com"], "https://fcm.googleapis.com@evil.example/"],
    ["the host as a password", ["fcm.googleapis.com*"], "https://a:fcm.googleapis.com@evil.example/"],
    ["a backslash that looks like a path", ["*.apple.com"], "https://evil.example\\@web.push.apple.com/"],
    ["the domain without its front", ["*.push.apple.com"], "https://push.apple.com/"],
    ["another port", ["push.example:8443"], "https://push.example/"],
    ["a dot that stands for any character", ["fcm.googleapis.com"], "https://fcmxgoogleapis.com/"],
    ["a look-alike", ["apple.com"], "https://аpple.com/"],
  ])("does not take %s", (_what, patterns, url) => {
    expect(allows(patterns, url)).toBe(false);
  });

  it("takes no time over a pattern made to be slow", () => {
    const startedMs = performance.now();
    expect(allows([`${"*a".repeat(200)}b`], `https://${"a".repeat(60)}.${"a".repeat(60)}.example/`)).toBe(
      false,
    );
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
