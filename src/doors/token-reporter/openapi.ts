import type { Operation } from "../../http/openapi.ts";
import { Type } from "../../json-schema.ts";

const text = (description: string) =>
  Type.Optional(Type.Union([Type.String(), Type.Null()], { description }));

/** What a report may say; each also by its other names, in any letter case. */
const Report = Type.Object({
  username: text("The account's name; or HTTP Basic."),
  password: text("Its password."),
  selector: text(
    "The app's name for this account on this phone. Required, but for the removal of one token.",
  ),
  token_msgs: text(
    "The token for messages; null or empty while there is none. Also pushToken, pushTokenOther.",
  ),
  appid_msgs: text("Its app. Also pushappid, pushappid_other, appid."),
  token_calls: text("The token for calls. Also pushTokenIncomingCall."),
  appid_calls: text("Its app. Also pushappid_incoming_call."),
});
const Failure = Type.Object({ error: Type.String() });
const refused = (description: string) => ({ description, schema: Failure });

const answers = {
  200: { description: "Stored, removed, or there was nothing to do." },
  400: refused("What is missing or wrong, all at once."),
  401: refused("The credentials are missing or wrong."),
  404: refused("The selector is another account's."),
  413: refused("The body is too large."),
  429: refused("Too many wrong credentials, or too many requests."),
  503: refused("The store does not answer, or the registry is full; Retry-After says how long."),
};
const security = ["password", "bearer"] as const;

/** The token reporter's door as it is described. */
export function describeTokenReporter(paths: readonly string[]): readonly Operation[] {
  return paths.flatMap((base): readonly Operation[] =>
    (["", "/remove"] as const).flatMap((below): readonly Operation[] => {
      const common = {
        tag: "token-reporter",
        summary: below === "" ? "An app reports its tokens." : "An account leaves a phone: its tokens go.",
        security,
        answers,
      };
      const path = `${base}${below}`;
      return [
        {
          ...common,
          method: "get",
          path,
          parameters: Object.entries(Report.properties).map(([name, { description = "" }]) => ({
            name,
            in: "query" as const,
            description,
          })),
        },
        {
          ...common,
          method: "post",
          path,
          body: { "application/json": Report, "application/x-www-form-urlencoded": Report },
        },
        {
          ...common,
          method: "get",
          path: `${path}/{username}/{selector}/{token}&appid={appid}`,
          parameters: ["username", "selector", "token", "appid"].map((name) => ({
            name,
            in: "path" as const,
            description: name === "token" ? "Up to the last &appid=, slashes included." : "",
          })),
        },
      ];
    }),
  );
}
