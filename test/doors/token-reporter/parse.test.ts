import {
  parseReport,
  type ReporterInput,
  type TokenReport,
} from "../../../src/doors/token-reporter/parse.ts";

const parse = (input: Partial<ReporterInput>): TokenReport =>
  parseReport({ below: "", query: "", isForm: false, ...input });
const messages = { kind: "messages", token: "T", appId: "A" } as const;
const calls = { kind: "calls", token: "T2", appId: "A2" } as const;
const report = { isRemoval: false, username: "u", selector: "S:1", pairs: [messages], problems: [] };

describe("a report", () => {
  it.each<[string, Partial<ReporterInput>, Partial<TokenReport>]>([
    [
      "a query",
      { query: "username=u&password=p&selector=S:1&token_msgs=T&appid_msgs=A&token_calls=T2&appid_calls=A2" },
      { password: "p", pairs: [messages, calls] },
    ],
    [
      "the variables' own names",
      {
        query:
          "username=u&selector=S:1&pushToken=T&pushappid=A&pushTokenIncomingCall=T2&pushappid_incoming_call=A2",
      },
      { pairs: [messages, calls] },
    ],
    ["their aliases", { query: "username=u&selector=S:1&pushTokenOther=T&pushappid_other=A" }, {}],
    ["appid alone", { query: "username=u&selector=S:1&pushToken=T&appid=A" }, {}],
    ["any letter case", { query: "USERNAME=u&Selector=S:1&Token_Msgs=T&appId_msgs=A" }, {}],
    ["a path", { below: "/u/S:1/T&appid=A" }, {}],
    [
      "a path with slashes in its token",
      { below: "/u/S%3A1/a/b%2Fc+d==&appid=A" },
      { pairs: [{ ...messages, token: "a/b/c+d==" }] },
    ],
    [
      "a path with &appid= in its token",
      { below: "/u/S:1/x&appid=y&appid=A" },
      { pairs: [{ ...messages, token: "x&appid=y" }] },
    ],
    ["a path with another case", { below: "/u/S:1/T&AppId=A" }, {}],
    ["a path with more after the app id", { below: "/u/S:1/T&appid=A&password=p" }, { password: "p" }],
    ["a path and a query", { below: "/u/S:1/T&appid=A", query: "password=p+q" }, { password: "p q" }],
    ["a path with a slash at its end", { below: "/u/S:1/T&appid=A/" }, {}],
    [
      "a name in the path, the rest in the body",
      { below: "/u/", body: { selector: "S:1", token_msgs: "T", appid_msgs: "A" } },
      {},
    ],
    [
      "a form with spaces that were pluses",
      { body: { username: "u", selector: "S:1", token_msgs: "a b", appid_msgs: "A" }, isForm: true },
      { pairs: [{ ...messages, token: "a+b" }] },
    ],
    [
      "a query with pluses",
      { query: "username=u&selector=S:1&token_msgs=a+b&appid_msgs=A" },
      { pairs: [{ ...messages, token: "a+b" }] },
    ],
    [
      "JSON, where a space is one",
      { body: { username: "u", selector: "S:1", token_msgs: "a b", appId_msgs: "A" } },
      { pairs: [{ ...messages, token: "a b" }] },
    ],
    [
      "JSON null",
      {
        body: {
          username: "u",
          selector: "S:1",
          token_msgs: null,
          appid_msgs: null,
          token_calls: "T2",
          appid_calls: "A2",
        },
      },
      { pairs: [calls] },
    ],
    ["null as text", { query: "username=u&selector=S:1&token_msgs=null&appid_msgs=A" }, { pairs: [] }],
    [
      "null as iOS writes it",
      { query: "username=u&selector=S:1&token_msgs=(null)&appid_msgs=" },
      { pairs: [] },
    ],
    ["no token at all", { query: "username=u&selector=S:1" }, { pairs: [] }],
    ["an empty token in a path", { below: "/u/S:1/&appid=A" }, { pairs: [] }],
    [
      "the alias where the first name is empty",
      { query: "username=u&selector=S:1&token_msgs=&pushToken=T&appid=A" },
      {},
    ],
    [
      "a password of null",
      { query: "username=u&selector=S:1&password=null&pushToken=T&appid=A" },
      { password: "null" },
    ],
    [
      "an empty password",
      { query: "username=u&selector=S:1&password=&pushToken=T&appid=A" },
      { password: "" },
    ],
    [
      "names that objects have already",
      { query: "username=u&selector=S:1&pushToken=T&appid=A&__proto__=x&constructor=y" },
      {},
    ],
    ["nothing but its name", { below: "/", query: "username=u&selector=S:1&pushToken=T&appid=A" }, {}],
  ])("may be %s", (_what, input, expected) => {
    expect(parse(input)).toEqual({ ...report, ...expected });
  });

  it.each<[string, Partial<ReporterInput>, readonly string[]]>([
    ["no selector", { query: "username=u&pushToken=T&appid=A" }, ["selector is missing"]],
    [
      "no app id",
      { query: "selector=S&pushToken=T&token_calls=T" },
      ["appid_msgs is missing beside its token", "appid_calls is missing beside its token"],
    ],
    [
      "an app id of null",
      { body: { selector: "S", pushToken: "T", appid: null } },
      ["appid_msgs is missing beside its token"],
    ],
    ["a path without an app id", { below: "/u/S:1/T" }, ["appid_msgs is missing beside its token"]],
    [
      "what is no text",
      { body: { selector: 1, pushToken: ["T"], appid: {} } },
      ["selector must be a string", "pushtoken must be a string", "appid must be a string"],
    ],
    [
      "control characters",
      { query: "selector=S%00&username=%0a" },
      ["username is too long or has control characters", "selector is too long or has control characters"],
    ],
    [
      "what is too long",
      { query: `selector=${"S".repeat(256)}` },
      ["selector is too long or has control characters"],
    ],
    ["a bad query", { query: "selector=%zz" }, ["the query is not well encoded", "selector is missing"]],
    ["a bad path", { below: "/u/S:1/%ff&appid=A" }, ["the path is not well encoded", "selector is missing"]],
    ["a list", { body: [] }, ["the body must be an object", "selector is missing"]],
  ])("with %s says all that is wrong", (_what, input, problems) => {
    expect(parse(input).problems).toEqual(problems);
  });
});

describe("a removal", () => {
  it.each<[string, Partial<ReporterInput>, Partial<TokenReport>]>([
    ["a query", { below: "/remove", query: "username=u&selector=S:1" }, {}],
    ["a query after a slash", { below: "/remove/", query: "username=u&selector=S:1" }, {}],
    ["a path", { below: "/remove/u/S:1" }, {}],
    ["a path with a token", { below: "/remove/u/S:1/T&appid=A" }, { pairs: [messages] }],
    [
      "a body",
      { below: "/remove/u/", body: { selector: "S:1", token_msgs: "T" } },
      { pairs: [{ ...messages, appId: undefined }] },
    ],
  ])("may be %s", (_what, input, expected) => {
    expect(parse(input)).toEqual({ ...report, isRemoval: true, pairs: [], ...expected });
  });

  it("needs a selector or a token", () => {
    expect(parse({ below: "/remove", query: "username=u" }).problems).toEqual(["selector is missing"]);
    expect(parse({ below: "/remove", query: "username=u&pushToken=T" }).problems).toEqual([]);
  });

  it("is not what a user is called who begins so", () => {
    expect(parse({ below: "/removed/S:1/T&appid=A" })).toMatchObject({
      isRemoval: false,
      username: "removed",
    });
  });
});
