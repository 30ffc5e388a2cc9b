import { readFileSync, writeFileSync } from "node:fs";
import { Ajv } from "ajv";
import addFormatsModule from "ajv-formats";
import { readDocument } from "../../src/config/document.ts";
import { renderSchema } from "../../src/config/print-schema.ts";
import { parseYaml } from "../../src/config/yaml.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";

const file = new URL("../../config/schema.json", import.meta.url);

/** An example as an editor sees it. */
function check(text: string): readonly string[] {
  const ajv = new Ajv({ allErrors: true, strict: false });
  addFormatsModule.default(ajv);
  const validate = ajv.compile(JSON.parse(renderSchema(pushkinTypes)) as object);
  const parsed = parseYaml(text);
  if ("problem" in parsed) throw new Error(parsed.problem.message);
  validate(readDocument(parsed.root)?.value);
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.keyword}`);
}

describe("config/schema.json", () => {
  it("is what the schema prints; after a change run this test with UPDATE_SCHEMA=1", () => {
    if (process.env.UPDATE_SCHEMA === "1") writeFileSync(file, renderSchema(pushkinTypes));
    expect(readFileSync(file, "utf8")).toBe(renderSchema(pushkinTypes));
  });

  it("holds none of the loader's own annotations", () => {
    expect(renderSchema(pushkinTypes)).not.toMatch(
      /"(?:reads|secret|secret_file|synonyms|blank_is_absent|shorthand|unknown_keys|also_known|verbatim)":/,
    );
  });

  it("finds no fault with sygnal.example.yaml", () => {
    expect(check(readFileSync(new URL("../../sygnal.example.yaml", import.meta.url), "utf8"))).toEqual([]);
  });

  it.each([
    "apps: {a: {type: apns, platform: prod, push_type: ''}}",
    "{http: {port: '5000'}, delivery: {answer_within: 5, expire_after: 2h}, apps: {a: {type: fcm}}}",
    "{rejections: {guard: off}, admin: {token: {file: token}}, store: {url: {file: url}}, apps: {a: {type: gcm}}}",
  ])("takes what the loader takes: %s", (text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    ["{delivery: {answer_whitin: 5s}, apps: {a: {type: gcm}}}", "/delivery additionalProperties"],
    ["{htpp: {}, apps: {a: {type: gcm}}}", " additionalProperties"],
    ["apps: {a: {type: apns, topik: x}}", "/apps/a additionalProperties"],
    ["apps: {a: {type: sms}}", "/apps/a/type enum"],
    ["apps: {}", "/apps minProperties"],
    ["{delivery: {answer_within: soon}, apps: {a: {type: gcm}}}", "/delivery/answer_within pattern"],
  ])("marks %s", (text, problem) => {
    expect(check(text)).toContain(problem);
  });
});
