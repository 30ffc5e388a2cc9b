import type { IncomingHttpHeaders } from "node:http";

/** What a stranger said, and where: `body.notification.devices.pushkey`, `header authorization`, `query`. */
export interface Secret {
  readonly secret: string;
  readonly from: string;
}

/** Shorter ones are found everywhere by chance. */
const MIN_LENGTH = 8;
const MAX_LENGTH = 4_096;
/** From closed lists, and logged on purpose. */
const publicKeys = new Set(["type", "msgtype", "prio"]);
/** Headers that say who asks, or what only he knows. */
const secretHeaders = ["authorization", "x-api-key", "cookie", "idempotency-key", "x-user-id", "crypto-key"];

/** Everything that strangers say in a body: pushkeys, tokens, passwords, content, names, and keys of their own. */
export function secretsInBody(text: string, type = ""): readonly Secret[] {
  if (type.includes("form-urlencoded")) return secretsInQuery(text, "form");
  try {
    return leaves(JSON.parse(text), "body");
  } catch {
    return text.length > 10_000 ? [] : longEnough([text.trim()], "body");
  }
}

/** A query as a whole and by its values, and a device token that stands in APNs' path. */
export function secretsInUrl(url: string): readonly Secret[] {
  const [path = "", ...query] = url.split("?");
  const device = /^\/3\/device\/(.+)$/.exec(path)?.[1];
  return [
    ...(device === undefined ? [] : longEnough([device], "path")),
    ...secretsInQuery(query.join("?"), "query"),
  ];
}

export function secretsInHeaders(headers: IncomingHttpHeaders): readonly Secret[] {
  return secretHeaders.flatMap((name) => {
    const value = String(headers[name] ?? "");
    const from = `header ${name}`;
    const [, scheme, credentials = ""] = /^(\w+) (.+)$/.exec(value) ?? [];
    if (scheme === undefined) return longEnough([value], from);
    if (scheme.toLowerCase() !== "basic") return longEnough([credentials], from);
    const [user = "", ...password] = Buffer.from(credentials, "base64").toString().split(":");
    return longEnough([credentials, user, password.join(":")], from);
  });
}

function secretsInQuery(query: string, from: string): readonly Secret[] {
  return [
    ...longEnough([query], from),
    ...[...new URLSearchParams(query)].flatMap(([name, value]) => longEnough([value], `${from} ${name}`)),
  ];
}

function leaves(value: unknown, from: string, key = ""): readonly Secret[] {
  if (typeof value === "string") return publicKeys.has(key) ? [] : longEnough([value], from);
  if (Array.isArray(value)) return value.flatMap((each) => leaves(each, from, key));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => [
    ...longEnough([name], `${from} key`),
    ...leaves(each, `${from}.${name}`, name),
  ]);
}

function longEnough(texts: readonly string[], from: string): readonly Secret[] {
  return texts
    .filter(({ length }) => length >= MIN_LENGTH && length <= MAX_LENGTH)
    .map((secret) => ({ secret, from: from.slice(0, 100) }));
}
