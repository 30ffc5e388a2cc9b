import type { AppDirectory } from "../../core/app.ts";
import type { Registrations, Reported } from "../../core/registrations.ts";
import type { Accounts } from "../../http/accounts.ts";
import { errorHeaders, jsonAnswer, type Answer } from "../../http/answer.ts";
import type { FrontDoor } from "../../http/door.ts";
import { HttpError } from "../../http/errors.ts";
import { mountPlainRoute, type PlainRequest } from "../../http/plain-route.ts";
import { parseReport, type TokenReport } from "./parse.ts";

/** What the token reporter works with. */
export interface TokenReporterOptions {
  /** `registry.token_path` and `registry.push_token_path`: both take every form. */
  readonly paths: readonly string[];
  readonly accounts: Accounts;
  /** `registry.allow_anonymous`: any username is taken unchecked. */
  readonly isOpen: boolean;
  readonly registrations: Registrations;
  readonly apps: AppDirectory;
}

const name = "token-reporter";
/** The simplest answer that apps take for success. */
const stored: Answer = { status: 200, body: "", headers: { "Cache-Control": "no-store" } };
const longestAgent = 255;

/** The push token reporter and the account removal reporter (softphone.md). */
export function tokenReporterDoor(options: TokenReporterOptions): FrontDoor {
  return {
    name,
    mount(router, deps) {
      for (const path of options.paths) {
        const handle = (request: PlainRequest): Promise<Answer | HttpError> => serve(options, path, request);
        mountPlainRoute({ name, path, below: true, methods: ["GET", "POST"], handle, refuse }, router, deps);
      }
    },
  };
}

async function serve(
  options: TokenReporterOptions,
  path: string,
  request: PlainRequest,
): Promise<Answer | HttpError> {
  const { req } = request;
  const body = req.method === "POST" ? await request.body() : undefined;
  if (body instanceof HttpError) return body;
  const report = parseReport({
    below: request.path.slice(path.length),
    query: request.query,
    ...(body === undefined ? {} : { body }),
    isForm: !/json/i.test(req.headers["content-type"] ?? ""),
  });
  // Who is asking comes first: nobody else learns what is served here.
  const owner = await ownerOf(options, report, request);
  if (owner instanceof HttpError) return owner;
  if (owner === undefined) return wrong(["username is missing", ...report.problems]);
  if (report.problems.length > 0) return wrong(report.problems);
  return report.isRemoval
    ? remove(options, owner, report)
    : store(options, owner, report, req.headers["user-agent"]);
}

/** The account's id; undefined when no name is given where any will do. */
async function ownerOf(
  { accounts, isOpen }: TokenReporterOptions,
  { username, password }: TokenReport,
  { req }: PlainRequest,
): Promise<string | HttpError | undefined> {
  if (isOpen && username !== undefined) return accounts.ownerOf(username);
  const given = username === undefined || password === undefined ? undefined : { username, password };
  if (isOpen && !accounts.canIdentify) return undefined;
  const identity = await accounts.identify(req, given);
  return identity instanceof HttpError ? identity : identity.id;
}

async function store(
  { apps, isOpen, registrations }: TokenReporterOptions,
  owner: string,
  { pairs, selector }: TokenReport,
  userAgent: string | undefined,
): Promise<Answer | HttpError> {
  const problems: string[] = [];
  const devices = pairs.flatMap(({ appId = "", kind, token }): Reported[] => {
    const suffix = kind === "messages" ? "msgs" : "calls";
    const app = apps.find(appId);
    if (app?.readToken === undefined) {
      problems.push(`appid_${suffix} is no app that is served here`);
      return [];
    }
    const pushkey = /[\s\p{Cc}\p{Cs}]/u.test(token) ? undefined : app.readToken(token);
    if (pushkey === undefined || pushkey.length > 4096) {
      problems.push(`token_${suffix} is no token of this app's kind`);
      return [];
    }
    return [{ kind, appId, pushkey }];
  });
  if (problems.length > 0) return wrong(problems);
  // An app that has no token yet, on iOS, reports again in a moment.
  if (devices.length === 0 || selector === undefined) return stored;
  const agent = userAgent?.replace(/[^\x20-\x7e]/g, "").slice(0, longestAgent);
  const result = await registrations.report({
    owner,
    selector,
    ...(agent === undefined || agent === "" ? {} : { userAgent: agent }),
    devices,
    ...(isOpen ? { isUnchecked: true } : {}),
  });
  switch (result) {
    case "stored":
      return stored;
    case "foreign-selector":
      return jsonAnswer(404, { error: "the selector is unknown" });
    case "full":
      return new HttpError("unavailable", { retryAfterMs: 60_000 });
  }
}

/** What is not there is as good as removed. */
async function remove(
  { apps, registrations }: TokenReporterOptions,
  owner: string,
  { pairs, selector }: TokenReport,
): Promise<Answer> {
  if (pairs.length === 0) {
    await registrations.remove(owner, selector === undefined ? { devices: [] } : { selector });
    return stored;
  }
  const registered = await registrations.list(owner);
  const devices = registered.filter(({ appId, pushkey }) =>
    pairs.some(({ token }) => token === pushkey || apps.find(appId)?.readToken?.(token) === pushkey),
  );
  await registrations.remove(owner, { devices, ...(selector === undefined ? {} : { selector }) });
  return stored;
}

function wrong(problems: readonly string[]): Answer {
  return jsonAnswer(400, { error: problems.join("; ") });
}

function refuse(error: HttpError): Answer {
  return jsonAnswer(error.status, { error: error.message }, errorHeaders(error));
}
