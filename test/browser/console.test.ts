import type { Browser, Page } from "playwright-core";
import { freePort } from "../support/free-port.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";
import { inBrowser, launchChromium } from "./chromium.ts";

const TOKEN = "0b5e7a0c4f1d9e26c3a8b7d5f0e1a2c9";
const LIVING = iosPushkey("c0a1");
const DEAD = iosPushkey("c0a2");
const WAITING = "fcm-c0a3-token-that-waits";
const EVENT = "$c0a4-event-of-the-console";
/** A name as bad as one can be in a file. */
const MARKUP = "<img src=x onerror=document.title=1>";
/** So many failures in a row open a circuit. */
const FAILURES = 5;

/** Colours of the page's own, as a browser computes them; text needs 4.5 of contrast (WCAG 2.2, 1.4.3). */
const CONTRASTS = `(() => {
  const probe = document.createElement("p");
  probe.style.backgroundColor = "Canvas";
  document.body.append(probe);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
  const under = light(parts(getComputedStyle(probe).backgroundColor));
  const of = (kind) => {
    probe.className = kind;
    const over = light(parts(getComputedStyle(probe).color));
    return (Math.max(over, under) + 0.05) / (Math.min(over, under) + 0.05);
  };
  const found = { text: of(""), good: of("good"), bad: of("bad"), under };
  probe.remove();
  return found;
})()`;

inBrowser("the console in a real browser", () => {
  let browser: Browser;
  let gateway: RunningGateway;
  let page: Page;
  /** What the browser complained of, and where it went. */
  const complaints: string[] = [];
  const asked: string[] = [];

  beforeAll(async () => {
    gateway = await startGateway({
      config: {
        admin: { port: await freePort(), token: TOKEN },
        delivery: { answer_within: "200ms" },
      },
      apps: ({ ios }) => ({ [MARKUP]: ios }),
    });
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on("console", (line) => {
      // A browser says of itself what the script sees too: the answers 401 and 422 that are provoked here.
      if (line.type() !== "log" && !/status of 4(?:01|22)/.test(line.text())) complaints.push(line.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(gateway.adminUrl);
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
  }, 30_000);

  const shown = (selector: string, words: RegExp): Promise<void> =>
    page.locator(selector).filter({ hasText: words }).waitFor({ timeout: 10_000 });
  const text = async (selector: string): Promise<string> => (await page.locator(selector).innerText()).trim();
  const row = async (app: string): Promise<readonly string[]> =>
    page
      .locator("#apps tr", { has: page.getByText(app, { exact: true }) })
      .locator("td")
      .allInnerTexts();
  /** Types a subject and Enter, as one does; gives what is answered. */
  const explain = async (subject: string): Promise<string> => {
    await page.locator("#subject").fill(subject);
    const answered = page.waitForResponse((response) => response.url().endsWith("/explain"));
    await page.keyboard.press("Enter");
    await answered;
    await shown("#explanation", /^[^…]/);
    return text("#explanation");
  };
  const refreshed = async (): Promise<void> => {
    const status = page.waitForResponse((response) => response.url().endsWith("/status"));
    await page.evaluate("refresh()");
    await status;
  };

  it("asks for the token, says when one is wrong, and opens by keyboard alone", async () => {
    await page.waitForSelector("#token", { state: "visible" });
    expect(await text("#state")).toBe("The token is asked for.");
    expect(await page.locator("#main").isVisible()).toBe(false);
    expect(await page.evaluate("document.activeElement.id")).toBe("token");
    await page.keyboard.type("a wrong token");
    await page.keyboard.press("Enter");
    await shown("#state", /^The token is not right\.$/);
    expect(await page.locator("#main").isVisible()).toBe(false);
    await page.keyboard.press("Control+a");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#main", { state: "visible" });
    expect(await text("#state")).toMatch(/^ready · version \d+\.\d+\.\d+ · store: works$/);
    expect(await page.locator("#token").inputValue()).toBe("");
    expect(await page.evaluate("document.activeElement.id")).toBe("subject");
  }, 30_000);

  it("says of a gateway where nothing has happened that nothing has", async () => {
    expect(await text("#alarms")).toBe("None since the start.");
    expect(await text("#removed")).toBe("None.");
    expect(await row(IOS)).toEqual([
      IOS,
      "apns",
      "untried",
      "closed",
      "held until something is delivered",
      "0",
      "0",
      expect.any(String),
      "",
    ]);
    expect(await explain(iosPushkey("c0af"))).toMatch(/[Nn]othing is known/);
  }, 30_000);

  it("shows what was delivered, what died, what waits, and the circuit that is open", async () => {
    const { script } = gateway.simulators;
    await gateway.notify(message([{ app_id: IOS, pushkey: LIVING }], { event_id: EVENT }));
    script.add({ upstream: "apns", answer: { kind: "error", reason: "Unregistered" }, times: 1 });
    await gateway.notify(message([{ app_id: IOS, pushkey: DEAD }]));
    script.add({ upstream: "fcm", answer: { kind: "error", reason: "UNAVAILABLE" } });
    await Promise.all(
      Array.from({ length: FAILURES }, (_, i) =>
        gateway.notify(message([{ app_id: ANDROID, pushkey: `${WAITING}${i}` }])),
      ),
    );
    await refreshed();
    const [, , credentials, circuits, guard, dead, waiting, , delivered] = await row(IOS);
    expect({ credentials, circuits, guard, dead, waiting }).toEqual({
      credentials: "work",
      circuits: "closed",
      guard: "believed",
      dead: "1",
      waiting: "0",
    });
    expect(delivered).toMatch(/\d/);
    const android = await row(ANDROID);
    expect(android[3]).toMatch(/^\S+ open, next try in \d+ s$/);
    expect(Number(android[6])).toBe(FAILURES);
  }, 30_000);

  it("explains a pushkey and an event in words, and repeats neither", async () => {
    await page.locator("#subject").focus();
    expect(await explain(LIVING)).toMatch(/delivered .*\n {2}Apple took it/);
    expect(await explain(DEAD)).toMatch(/no longer valid[^]*What to do:[^]*The device is rejected/);
    expect(await explain(`${WAITING}0`)).toMatch(/has promised it[^]*1 of its pushes is waiting/);
    expect(await explain(EVENT)).toMatch(/delivered .*\n {2}Apple took it/);
    await page.locator("#subject").fill("");
    const shown = await page.content();
    for (const secret of [LIVING, DEAD, WAITING, EVENT, TOKEN]) {
      expect(shown).not.toContain(secret);
      expect(asked.join("\n")).not.toContain(encodeURIComponent(secret));
      expect(gateway.logLines.join("\n")).not.toContain(secret);
    }
  }, 30_000);

  it("shows a name that looks like markup as the text that it is", async () => {
    expect((await row(MARKUP))[0]).toBe(MARKUP);
    expect(await page.title()).toBe("Signalbox");
    expect(await page.locator("main img").count()).toBe(0);
  });

  it("says what is wrong with a configuration, and takes over a right one", async () => {
    const reload = async (): Promise<string> => {
      await page.getByRole("button", { name: "Reload" }).click();
      await shown("#reloaded", /^[^…]/);
      return text("#reloaded");
    };
    await gateway.rewrite(({ apps, ...config }) => ({ ...config, apps: { ...apps, x: { type: "pigeon" } } }));
    expect(await reload()).toMatch(/test\.yaml:\d+: apps\["x"\]\.type: must be one of/);
    await gateway.rewrite(({ apps: { [MARKUP]: _gone, ...apps }, ...config }) => ({ ...config, apps }));
    expect(await reload()).toMatch(/^Reloaded\.$/);
    await page.getByText(MARKUP).waitFor({ state: "detached" });
  }, 30_000);

  it.each(["light", "dark"] as const)("can be read in %s", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    const { under, ...contrasts } =
      await page.evaluate<Record<"text" | "good" | "bad" | "under", number>>(CONTRASTS);
    expect(under > 0.5).toBe(colorScheme === "light");
    for (const contrast of Object.values(contrasts)) expect(contrast).toBeGreaterThanOrEqual(4.5);
  });

  it("fits a phone without scrolling sideways", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const overflow = await page.evaluate<number>("document.scrollingElement.scrollWidth - innerWidth");
    expect(overflow).toBeLessThanOrEqual(0);
  });

  it("fetches nothing from elsewhere, breaks no rule of its own policy and keeps nothing in the browser", async () => {
    expect(complaints).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(`${gateway.adminUrl}/`) && url !== "data:,")).toEqual([]);
    expect(page.url()).toBe(`${gateway.adminUrl}/`);
    expect(await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length")).toBe(
      0,
    );
  });

  it("says that a gateway which has stopped does not answer", async () => {
    await gateway.gateway.stop({ drainMs: 0 });
    await page.evaluate("refresh()");
    await shown("#state", /^The gateway does not answer\.$/);
  }, 30_000);
});
