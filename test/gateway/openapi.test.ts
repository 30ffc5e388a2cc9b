import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormatsModule from "ajv-formats";
import { renderOpenApi } from "../../src/gateway/print-openapi.ts";
import type { JsonObject } from "../../src/json.ts";
import { alice, asAlice, BUNDLE, eventKey, MESSAGES, startRegistry } from "../support/registry-gateway.ts";
import { message } from "../support/with-gateway.ts";

interface Described {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonObject }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: JsonObject }>> }>
  >;
}
const document = JSON.parse(renderOpenApi()) as {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
};
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormatsModule.default(ajv);

const sendKey = "9c41d0be7f25a8136e7d";
let gateway: Awaited<ReturnType<typeof startRegistry>>;
beforeAll(async () => {
  gateway = await startRegistry({}, { config: { softphone: { api_keys: [sendKey] } } });
});
afterAll(() => gateway.stop());

it("docs/openapi.json is as printed (npm run docs prints it anew)", () => {
  expect(readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8")).toBe(renderOpenApi());
});

it("is OpenAPI 3.1 whose schemas compile and whose path parameters are described", () => {
  expect(document.openapi).toBe("3.1.0");
  let schemas = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods)) {
      const bodies = Object.values(operation.requestBody?.content ?? {});
      const answers = Object.values(operation.responses).flatMap(({ content }) =>
        Object.values(content ?? {}),
      );
      for (const { schema } of [...bodies, ...answers]) {
        expect(() => ajv.compile(schema)).not.toThrow();
        schemas += 1;
      }
      const named = (
        (operation as unknown as { parameters?: { name: string; in: string }[] }).parameters ?? []
      )
        .filter((parameter) => parameter.in === "path")
        .map(({ name }) => name);
      expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  }
  expect(schemas).toBeGreaterThan(50);
});

const phone = { AppId: MESSAGES, DeviceToken: "QVBBOTFi", Selector: "S:1" };
const apns = {
  system: "apns",
  action: "add",
  device_token: "ab".repeat(32),
  application_id: `39JSDKGJ38.${BUNDLE}`,
};
const fax = {
  owner: alice.id,
  message: "fax_new",
  fax: "af729cc0-3251-11e2-81c1-0800200c9a66",
  phone: "+49221",
  page_count: 2,
};
const asSender = { "x-api-key": sendKey };
const asService = { authorization: `Bearer ${eventKey}` };

/** What is asked, and the path and status under which the answer is described. */
type Call = [path: string, status: number, headers: Record<string, string>, body?: unknown, type?: string];
const calls: Call[] = [
  ["/_matrix/push/v1/notify", 200, {}, { notification: message([{ app_id: "x", pushkey: "y" }]) }],
  ["/_matrix/push/v1/notify", 400, {}, { notification: 1 }],
  ["/pnm2/send", 200, asSender, { verb: "NotifyTextMessage", ...phone }],
  ["/pnm2/send", 200, asSender, { verb: "no" }],
  ["/pnm2/send", 200, asSender, { verb: "NotifyTextMessage", Account: "alice" }],
  ["/pnm2/send", 400, asSender, []],
  ["/pnm2/send", 401, {}, { verb: "NotifyTextMessage", ...phone }],
  ["/pnm2/multisend", 200, asSender, [{ verb: "NotifyTextMessage", ...phone }, null, 1]],
  ["/pnm2/multisend", 400, asSender, null],
  ["/pnm2", 400, asSender, "verb=x", "application/x-www-form-urlencoded"],
  ["/pnm2", 401, {}, "verb=x", "application/x-www-form-urlencoded"],
  ["/token", 401, {}],
  ["/token", 400, asAlice],
  ["/token", 200, asAlice, { selector: "S:1", token_msgs: "QVBBOTFi", appid_msgs: MESSAGES }],
  ["/token/remove", 200, asAlice, { selector: "S:9" }],
  ["/api/push", 401, {}],
  ["/api/push", 200, asAlice, apns],
  ["/api/push", 200, asAlice],
  ["/api/push", 400, asAlice, { ...apns, application_id: "x" }],
  ["/api/push", 400, asAlice, {}],
  ["/api/push/events", 200, asService, fax],
  ["/api/push/events", 400, asService, {}],
  ["/api/push/events", 401, {}, fax],
  ["/health", 200, {}],
];

it.each(calls.map((call) => [call[0], call[1], call] as const))(
  "%s %i answers as described",
  async (_path, _status, call) => {
    const [path, status, headers, body, type = "application/json"] = call;
    const response = await fetch(gateway.origin + path, {
      method: body === undefined ? "GET" : "POST",
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": type }) },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    expect([response.status, text]).toEqual([status, expect.any(String)]);
    const operation = document.paths[path]?.[body === undefined ? "get" : "post"];
    const described = operation?.responses[status];
    expect(described).toBeDefined();
    const contentType = response.headers.get("content-type");
    expect(Object.keys(described?.content ?? {})).toEqual(contentType === null ? [] : [contentType]);
    if (contentType === null) expect(text).toBe("");
    else {
      const validate = ajv.compile(described?.content?.[contentType]?.schema ?? false);
      const value: unknown = contentType === "application/json" ? JSON.parse(text) : text;
      expect([validate(value), validate.errors]).toEqual([true, null]);
    }
  },
);

/** One string for each attribute, ill-typed in turn: what the description forbids the door refuses by name. */
it("refuses every attribute of a softphone's push that is not as described", async () => {
  const schema = document.paths["/pnm2/send"]?.["post"]?.requestBody?.content["application/json"]?.schema;
  const names = Object.keys((schema?.["properties"] ?? {}) as object).filter((name) => name !== "Account");
  expect(names.length).toBeGreaterThan(10);
  const validate = ajv.compile(schema ?? false);
  for (const name of names) {
    const body = { verb: "NotifyTextMessage", ...phone, [name]: ["x"] };
    expect(validate(body)).toBe(false);
    const response = await fetch(`${gateway.origin}/pnm2/send`, {
      method: "POST",
      headers: { ...asSender, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(await response.json()).toMatchObject({ code: 400, response: expect.stringContaining(name) });
  }
});
