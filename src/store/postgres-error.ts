import { StoreError } from "./store.ts";

/** What follows from a failure beside the answer to the caller. */
export interface PostgresFailure {
  readonly error: StoreError;
  /** The connection must not be used again: it is broken, or leads to a server that cannot do the work. */
  readonly spoilsConnection: boolean;
  /** The server could not be reached or turned us away: the next call would fare the same. */
  readonly down: boolean;
  /** Nothing was done and the same statement may well succeed at once. */
  readonly again: boolean;
}

interface Meaning {
  readonly code: StoreError["code"];
  readonly words: string;
  readonly spoils?: true;
  readonly down?: true;
  readonly again?: true;
}

/**
 * SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html), the full code before its class. What is in
 * neither is `internal`: a fault of the one statement.
 */
const meanings: Readonly<Record<string, Meaning>> = {
  "08": { code: "unavailable", words: "the connection failed", spoils: true, down: true },
  // Two sessions inserted one key at the same moment: asked again, the second one finds it.
  "23505": { code: "internal", words: "a key exists already", again: true },
  "25006": { code: "unavailable", words: "the database is read-only", spoils: true },
  "28": {
    code: "unavailable",
    words: "the server refuses the user or the password",
    spoils: true,
    down: true,
  },
  "3D000": { code: "unavailable", words: "the database does not exist", spoils: true, down: true },
  "3F000": { code: "unavailable", words: "no schema to create tables in (search_path)" },
  "40001": { code: "unavailable", words: "serialization failure", again: true },
  "40P01": { code: "unavailable", words: "deadlock", again: true },
  "40003": { code: "unavailable", words: "the result is unknown", spoils: true },
  "42501": { code: "unavailable", words: "the user lacks a right in the database" },
  "42P01": { code: "unavailable", words: "a table is missing" },
  "42883": { code: "unavailable", words: "a function is missing" },
  "53100": { code: "full", words: "the server's disk is full" },
  "53200": { code: "unavailable", words: "the server is out of memory", spoils: true },
  "53300": { code: "unavailable", words: "the server has too many clients", spoils: true, down: true },
  "53": { code: "unavailable", words: "the server is out of resources", spoils: true },
  "55P03": { code: "unavailable", words: "somebody holds a lock for too long" },
  "57014": { code: "unavailable", words: "the statement took too long" },
  "57P": { code: "unavailable", words: "the server is shutting down or starting", spoils: true, down: true },
  "57": { code: "unavailable", words: "an operator intervened", spoils: true },
  "58": { code: "unavailable", words: "the server has an I/O error", spoils: true },
  F0: { code: "unavailable", words: "the server's configuration is broken", spoils: true },
  XX001: { code: "corrupt", words: "the server reports damaged data" },
  XX002: { code: "corrupt", words: "the server reports a damaged index" },
};

/** The driver's own failures, which have no code. Anything else it says is not repeated: it may quote the URL. */
const driverWords: readonly (readonly [RegExp, string])[] = [
  [/read timeout/, "no answer in time"],
  [/timeout exceeded when trying to connect/, "all connections are in use"],
  [/timeout/, "no connection in time"],
  [/not support SSL/, "the server does not offer TLS"],
  [/password must be/, "the server asks for a password and there is none"],
  [/terminated|closed|not queryable|ended/i, "the connection was lost"],
];

/** Maps what the driver threw. No statement, value, password, or name of the server's making is repeated. */
export function toPostgresFailure(thrown: unknown, doing: string): PostgresFailure {
  const failure = (meaning: Meaning): PostgresFailure => ({
    error: new StoreError(meaning.code, `${doing}: ${meaning.words}`),
    spoilsConnection: meaning.spoils === true,
    down: meaning.down === true,
    again: meaning.again === true,
  });
  if (thrown instanceof StoreError)
    return { error: thrown, spoilsConnection: false, down: false, again: false };
  const { code, message, name, severity } = readError(thrown);
  if (code !== undefined && severity !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    const meaning = meanings[code] ?? meanings[code.slice(0, 3)] ?? meanings[code.slice(0, 2)];
    if (meaning === undefined) return failure({ code: "internal", words: `SQLSTATE ${code}` });
    return failure({ ...meaning, words: `${meaning.words} (${code})` });
  }
  const lost = { code: "unavailable", spoils: true, down: true } as const;
  // Of the network and of TLS: ECONNREFUSED, CERT_HAS_EXPIRED.
  if (code !== undefined && /^[A-Z][A-Z0-9_]{2,60}$/.test(code)) return failure({ ...lost, words: code });
  const words = driverWords.find(([pattern]) => pattern.test(message))?.[1];
  if (words !== undefined) return failure({ ...lost, words });
  return failure({ code: "internal", words: `unexpected ${name}`, spoils: true });
}

/** By its fields, not its class: an error of the runtime's own may come from another realm. */
function readError(thrown: unknown): {
  readonly code: string | undefined;
  readonly severity: string | undefined;
  readonly message: string;
  readonly name: string;
} {
  const fields = Object(thrown) as Readonly<Record<string, unknown>>;
  const text = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    code: text("code"),
    severity: text("severity"),
    message: text("message") ?? "",
    name: text("name") ?? "value",
  };
}
