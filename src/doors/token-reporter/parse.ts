import { parseForm } from "../../http/form.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";

/** One token with the app that it belongs to, as texts. */
export interface ReportedPair {
  readonly kind: "messages" | "calls";
  readonly token: string;
  readonly appId: string | undefined;
}

/** What an app says, in whichever form its operator's template has (softphone.md, Push token reporter). */
export interface TokenReport {
  /** The account leaves the phone: its tokens go. */
  readonly isRemoval: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly selector?: string;
  /** Those whose token was given. */
  readonly pairs: readonly ReportedPair[];
  /** All that is wrong, one sentence each, without a value. */
  readonly problems: readonly string[];
}

/** A request, before anybody has looked at it. */
export interface ReporterInput {
  /** Below the door's own path, not decoded: empty, or from its first slash on. */
  readonly below: string;
  readonly query: string;
  /** Absent = none. */
  readonly body?: JsonValue;
  /** A space in a token stands for the `+` that somebody forgot to encode. */
  readonly isForm: boolean;
}

/** Each thing by the names that templates give it, in lower case; the first one that is given counts. */
const names = {
  username: ["username"],
  password: ["password"],
  selector: ["selector"],
  messages: ["token_msgs", "pushtoken", "pushtokenother"],
  messagesApp: ["appid_msgs", "pushappid", "pushappid_other", "appid"],
  calls: ["token_calls", "pushtokenincomingcall"],
  callsApp: ["appid_calls", "pushappid_incoming_call"],
} as const;

const removal = "/remove";
const pathAppId = "&appid=";
/** No control characters, which neither logs nor databases bear. */
const plainText = /^[^\p{Cc}\p{Cs}]{1,255}$/u;
/** What apps write for a token that they have not got yet. */
const nothing = new Set(["", "null", "(null)"]);

/** Reads a report. Pure; never throws. */
export function parseReport(input: ReporterInput): TokenReport {
  const problems: string[] = [];
  const isRemoval = input.below === removal || input.below.startsWith(`${removal}/`);
  const fields = new Map<string, JsonValue>();
  const add = (more: JsonObject, restorePlus: boolean): void => {
    for (const [name, value] of Object.entries(more)) {
      const isToken = /^(?:token_|pushtoken)/i.test(name);
      const restored =
        isToken && restorePlus && typeof value === "string" ? value.replaceAll(" ", "+") : value;
      fields.set(name.toLowerCase(), restored);
    }
  };
  const query = parseForm(input.query);
  if (query instanceof Error) problems.push("the query is not well encoded");
  else add(query, true);
  if (input.body !== undefined) {
    if (isJsonObject(input.body)) add(input.body, input.isForm);
    else problems.push("the body must be an object");
  }
  const path = readPath(isRemoval ? input.below.slice(removal.length) : input.below);
  if (path === undefined) problems.push("the path is not well encoded");
  else add(path, false);

  const pick = (wanted: readonly string[]): string | undefined => {
    for (const name of wanted) {
      const value = fields.get(name);
      if (value === undefined || value === null) continue;
      if (typeof value !== "string") problems.push(`${name} must be a string`);
      else if (wanted === names.password || !nothing.has(value)) return value;
    }
    return undefined;
  };
  const username = plain(pick(names.username), "username", problems);
  const password = pick(names.password);
  const selector = plain(pick(names.selector), "selector", problems);
  const pairs = (["messages", "calls"] as const).flatMap((kind): ReportedPair[] => {
    const token = pick(names[kind]);
    const appId = plain(pick(names[`${kind}App`]), names[`${kind}App`][0], problems);
    return token === undefined ? [] : [{ kind, token, appId }];
  });
  if (!isRemoval) {
    if (selector === undefined && !problems.some((text) => text.startsWith("selector"))) {
      problems.push("selector is missing");
    }
    for (const { appId, kind } of pairs) {
      const name = names[`${kind}App`][0];
      if (appId === undefined && !problems.some((text) => text.startsWith(name)))
        problems.push(`${name} is missing beside its token`);
    }
  } else if (selector === undefined && pairs.length === 0) problems.push("selector is missing");
  return {
    isRemoval,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(selector === undefined ? {} : { selector }),
    pairs,
    problems,
  };
}

function plain(text: string | undefined, name: string, problems: string[]): string | undefined {
  if (text === undefined || plainText.test(text)) return text;
  problems.push(`${name} is too long or has control characters`);
  return undefined;
}

/**
 * `/<username>/<selector>/<token>&appid=<app id>`, each part optional. After the second segment everything up to the
 * last `&appid=` is the token, slashes included; what follows the app id is more fields. Undefined when a part is not
 * well encoded.
 */
function readPath(below: string): JsonObject | undefined {
  const [, username = "", selector = "", ...rest] = below.split("/");
  const tail = rest.join("/");
  const at = tail.toLowerCase().lastIndexOf(pathAppId);
  const token = at < 0 ? tail : tail.slice(0, at);
  const [appId = "", ...more] =
    at < 0
      ? []
      : tail
          .slice(at + pathAppId.length)
          .replace(/\/$/, "")
          .split("&");
  const extra = parseForm(more.join("&"));
  const decoded = [username, selector, token, appId].map(decode);
  if (extra instanceof Error || decoded.includes(undefined)) return undefined;
  const parts = ["username", "selector", "token_msgs", "appid_msgs"].flatMap((name, i) => {
    const value = decoded[i] ?? "";
    return value === "" ? [] : [[name, value] as const];
  });
  return { ...extra, ...Object.fromEntries(parts) };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
