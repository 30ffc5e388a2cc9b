import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import request from "supertest";
import { basicCredentials, bearerToken, createApiKeys } from "../../src/http/auth.ts";
import type { HttpError } from "../../src/http/errors.ts";

/** What `look` makes of a request with these headers, over a real connection. */
async function seen<Result>(
  headers: Readonly<Record<string, string | readonly string[]>>,
  look: (req: IncomingMessage) => Result,
): Promise<Result> {
  let result: { readonly value: Result } | undefined;
  const server = createServer((req, res) => {
    result = { value: look(req) };
    res.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const call = request(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).get("/");
  for (const [name, value] of Object.entries(headers)) void call.set(name, value as string);
  await call;
  await new Promise((resolve) => server.close(resolve));
  if (result === undefined) throw new Error("no request came");
  return result.value;
}

describe("API keys", () => {
  const first = "3f1c0b8a7e5d42961a2b";
  const second = "99c1e7a2b4d85f60c3e1";
  const keys = createApiKeys([first, second]);

  it.each([
    ["a Bearer token", { authorization: `Bearer ${first}` }],
    ["the scheme in any case", { authorization: `bEARER  ${second}` }],
    ["X-Api-Key", { "x-api-key": second }],
    ["X-Api-Key beside another scheme", { authorization: "Basic YTpi", "x-api-key": first }],
  ])("opens for %s", async (_name, headers) => {
    expect(await seen(headers, (req) => keys.refusal(req))).toBeUndefined();
  });

  it.each([
    ["nothing", {}],
    ["another key", { authorization: `Bearer ${first}x` }],
    ["the beginning of a key", { "x-api-key": first.slice(0, -1) }],
    ["a key as another scheme", { authorization: `Basic ${first}` }],
    ["two of them", { "x-api-key": [first, second] }],
    ["an empty one", { "x-api-key": "" }],
    ["a wrong Bearer token beside a right X-Api-Key", { authorization: "Bearer no", "x-api-key": first }],
  ])("refuses %s, always the same", async (_name, headers) => {
    const refusal = (await seen(headers, (req) => keys.refusal(req))) as HttpError;
    expect({ ...refusal, message: refusal.message }).toEqual({
      name: "HttpError",
      code: "unauthorized",
      status: 401,
      errcode: "M_UNAUTHORIZED",
      challenge: "Bearer",
      message: "The credentials are missing or wrong.",
    });
  });

  it("opens for nobody when there are no keys", async () => {
    const none = createApiKeys([]);
    expect(await seen({ "x-api-key": "" }, (req) => none.refusal(req))).toMatchObject({ status: 401 });
  });
});

describe("credentials of a request", () => {
  const basic = (text: string): { authorization: string } => ({
    authorization: `Basic ${Buffer.from(text).toString("base64")}`,
  });

  it.each([
    [basic("al\u00fcce:pass:word"), { username: "al\u00fcce", password: "pass:word" }],
    [basic(":"), { username: "", password: "" }],
    [basic("no colon"), undefined],
    [{ authorization: "Basic" }, undefined],
    [{ authorization: "Bearer abc" }, undefined],
    [{}, undefined],
  ])("Basic %j", async (headers, expected) => {
    expect(await seen(headers, basicCredentials)).toEqual(expected);
  });

  it.each([
    [{ authorization: "Bearer a.b-c_d~e+f/g==" }, "a.b-c_d~e+f/g=="],
    [{ authorization: "Bearer two words" }, undefined],
    [basic("a:b"), undefined],
  ])("Bearer %j", async (headers, expected) => {
    expect(await seen(headers, bearerToken)).toEqual(expected);
  });
});
