import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { matrixContent } from "../support/builders.ts";
import { pushTo, startWebPush, type Rig } from "../pushkins/push-service/fixture.ts";
import type { WebPushSimulator } from "../../src/simulator/webpush.ts";
import { inBrowser, launchChromium } from "./chromium.ts";

/** The keys as the page hands them out. */
interface Keys {
  readonly p256dh: string;
  readonly auth: string;
}

inBrowser("a real browser", () => {
  let browser: Browser;
  let server: Server;
  let page: Page;
  let rig: Rig<WebPushSimulator>;

  beforeAll(async () => {
    const html = readFileSync(new URL("./page.html", import.meta.url));
    server = createServer((_req, res) => void res.setHeader("content-type", "text/html").end(html));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    browser = await launchChromium();
    page = await browser.newPage();
    // WebCrypto is there for secure origins, and loopback is one.
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    rig = await startWebPush();
  }, 90_000);
  afterAll(async () => {
    await rig?.stop();
    await browser?.close();
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  }, 30_000);

  it("decrypts what the gateway encrypted to its keys", async () => {
    const texts = ["hello", "Þjónusta 🚢 «тест» 你好", "", "x".repeat(1_000)];
    for (const [index, text] of texts.entries()) {
      const keys = await page.evaluate<Keys>("subscribe()");
      const subscription = rig.simulator.subscribe({ keys });
      const content = matrixContent({ eventId: `$${index}`, content: { msgtype: "m.text", body: text } });
      expect(await rig.outcome(pushTo(subscription, { content }))).toMatchObject({ kind: "delivered" });
      const [message] = subscription.messages;
      if (message === undefined) throw new Error("nothing came");
      // The simulator cannot read it: only the page has the private key, and it does not let it out.
      expect(message.text).toBeUndefined();
      const body = JSON.stringify(message.body.toString("base64url"));
      const read = JSON.parse(await page.evaluate<string>(`decrypt(${body})`)) as Record<string, unknown>;
      expect(read).toMatchObject({
        event_id: `$${index}`,
        unread: 2,
        content: { msgtype: "m.text", body: text },
      });
    }
    expect(await page.evaluate<number>("timesDecrypted()")).toBe(texts.length);
  }, 30_000);

  it("decrypts a message of the largest size", async () => {
    const keys = await page.evaluate<Keys>("subscribe()");
    const subscription = rig.simulator.subscribe({ keys });
    const fill = (length: number) => matrixContent({ defaultPayload: { fill: "f".repeat(length) } });
    await rig.outcome(pushTo(subscription, { content: fill(1) }));
    const free = 4_096 - (subscription.messages[0]?.body.length ?? 0);
    await rig.outcome(pushTo(subscription, { content: fill(1 + free) }));
    const body = subscription.messages[1]?.body ?? Buffer.alloc(0);
    expect(body).toHaveLength(4_096);
    const read = await page.evaluate<string>(`decrypt(${JSON.stringify(body.toString("base64url"))})`);
    expect(JSON.parse(read)).toMatchObject({ fill: "f".repeat(1 + free), event_id: "$e" });
  }, 30_000);

  it("cannot decrypt what was made for other keys, nor what was changed on the way", async () => {
    const keys = await page.evaluate<Keys>("subscribe()");
    const subscription = rig.simulator.subscribe({ keys });
    await rig.outcome(pushTo(subscription));
    const body = Buffer.from(subscription.messages[0]?.body ?? "");
    const changed = Buffer.from(body);
    changed[changed.length - 20] = (changed.at(-20) ?? 0) ^ 1;
    const attempt = (bytes: Buffer): Promise<string> =>
      page.evaluate<string>(`decrypt(${JSON.stringify(bytes.toString("base64url"))}).catch((e) => e.name)`);
    expect(await attempt(changed)).toBe("OperationError");
    expect(await attempt(body)).toContain("$e");
    await page.evaluate("subscribe()");
    expect(await attempt(body)).toBe("OperationError");
  }, 30_000);

  it("takes the gateway's VAPID token for signed by the key that it subscribes with", async () => {
    await rig.outcome(pushTo(rig.simulator.subscribe()));
    const authorization = rig.simulator.recorder.requests.at(-1)?.headers["authorization"] ?? "";
    const verified = await page.evaluate<{ holds: boolean; claims: Record<string, unknown> }>(
      `verifyVapid(${JSON.stringify(authorization)})`,
    );
    expect(verified).toMatchObject({
      holds: true,
      claims: { aud: rig.simulator.url, sub: "mailto:ops@example.com" },
    });
    expect(authorization).toContain(`k=${rig.vapid.publicKey}`);
  }, 30_000);
});
