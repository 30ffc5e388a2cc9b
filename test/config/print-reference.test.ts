import { readFileSync, writeFileSync } from "node:fs";
import { configurationPage } from "../../src/config/print-reference.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";

const file = new URL("../../docs/configuration.md", import.meta.url);

describe("docs/configuration.md", () => {
  it("is what the schema prints; after a change run this test with UPDATE_SCHEMA=1", () => {
    const page = configurationPage(pushkinTypes);
    if (process.env.UPDATE_SCHEMA === "1") writeFileSync(file, page);
    expect(readFileSync(file, "utf8")).toBe(page);
  });

  it.each([
    ["a duration with its default", '| `answer_within` | duration | `"5s"` |'],
    ["a key of a section within a section", "| `prometheus.port` |"],
    ["a secret", "| `token` | secret string |"],
    ["a section that may be written short", "| `guard` | section, or short |"],
    ["an app's option", "| `keyfile` | string |"],
    ["words that may be written", "`production`, `sandbox`, `prod`"],
    ["a type of app with two names", "### `type: gcm` or `fcm`"],
  ])("shows %s", (_title, text) => {
    expect(configurationPage(pushkinTypes)).toContain(text);
  });
});
