import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { StoreError } from "./store.ts";

/** Where the database is and who asks, as `store.url` says. Holds a password: never log it, log `label`. */
export interface PostgresServer {
  /** Host, port and database: fit for a log and an error. */
  readonly label: string;
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Absent = the name of the account that the process runs under. */
  readonly user?: string;
  readonly password?: string;
  readonly tls: PostgresTls;
  /** Server settings at the start of a session, as in `-c search_path=gateway`. */
  readonly options?: string;
  readonly applicationName: string;
}

/** `verified` checks the chain and the host's name. */
export interface PostgresTls {
  readonly mode: "off" | "verified" | "unverified";
  readonly rootCertFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

const tlsModes: Readonly<Record<string, PostgresTls["mode"]>> = {
  disable: "off",
  // The driver cannot fall back, and what is asked for is not weakened silently.
  prefer: "verified",
  require: "verified",
  "verify-ca": "verified",
  "verify-full": "verified",
  "no-verify": "unverified",
};
const known = [
  "application_name",
  "host",
  "options",
  "password",
  "port",
  "sslcert",
  "sslkey",
  "sslmode",
  "sslrootcert",
  "user",
];

/**
 * Reads a connection URI (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). Nothing of
 * it is repeated in a problem but the names of unknown parameters.
 */
export function parsePostgresUrl(text: string): PostgresServer | { readonly problem: string } {
  // A user at a host that a parameter names: not a URL to the letter, but usual.
  const url = URL.parse(text) ?? URL.parse(text.replace("@/", "@localhost/"));
  if (url === null)
    return { problem: "is not a URL of the form postgresql://user:password@host:port/database" };
  const parameters = url.searchParams;
  const unknown = [...parameters.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const name = /^[\w.-]{1,40}$/.test(unknown) ? `"${unknown}"` : "one";
    return { problem: `has an unknown parameter: ${name} is none of ${known.join(", ")}` };
  }
  const given = (name: string, inUrl: string): string | undefined => {
    const value = parameters.get(name) ?? decode(inUrl);
    return value === "" ? undefined : value;
  };
  try {
    const host = given("host", url.hostname.replace(/^\[(.+)\]$/, "$1")) ?? "localhost";
    const database = decode(url.pathname.slice(1));
    const user = given("user", url.username);
    const password = given("password", url.password);
    const port = Number(given("port", url.port) ?? 5432);
    const mode =
      tlsModes[parameters.get("sslmode") ?? (host.startsWith("/") ? "disable" : defaultTls(parameters))];
    if (database === "" || database.includes("/"))
      return { problem: "needs the name of one database after the host" };
    if (host.includes(",")) return { problem: "names several hosts; one is supported" };
    if (!(Number.isInteger(port) && port > 0 && port < 65_536)) return { problem: "has a wrong port" };
    if ([host, database, user, password, parameters.get("options")].some((value) => value?.includes("\0")))
      return { problem: "holds a NUL character" };
    if (mode === undefined)
      return { problem: `has a wrong sslmode: it is one of ${Object.keys(tlsModes).join(", ")}` };
    return {
      label: `${host.includes(":") ? `[${host}]` : host}:${port}/${database}`,
      host,
      port,
      database,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      tls: {
        mode,
        ...file("rootCertFile", parameters.get("sslrootcert")),
        ...file("certFile", parameters.get("sslcert")),
        ...file("keyFile", parameters.get("sslkey")),
      },
      ...file("options", parameters.get("options")),
      applicationName: parameters.get("application_name") ?? "signalbox",
    };
  } catch {
    return { problem: "holds a % that is no percent-encoding" };
  }
}

const decode = (text: string): string => decodeURIComponent(text);

/** Certificates without a mode mean TLS. */
function defaultTls(parameters: URLSearchParams): string {
  return ["sslrootcert", "sslcert", "sslkey"].some((name) => parameters.has(name))
    ? "verify-full"
    : "disable";
}

function file<Name extends string>(name: Name, value: string | null): { readonly [key in Name]?: string } {
  return value === null || value === "" ? {} : ({ [name]: value } as { readonly [key in Name]: string });
}

/**
 * The driver's TLS settings; false = none.
 * @throws StoreError when a certificate or key cannot be read
 */
export function tlsOptions({
  mode,
  rootCertFile,
  certFile,
  keyFile,
}: PostgresTls): ConnectionOptions | false {
  if (mode === "off") return false;
  const read = (parameter: string, path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      const { code } = Object(error) as { readonly code?: unknown };
      throw new StoreError(
        "unavailable",
        `store.url: cannot read the file of ${parameter}: ${typeof code === "string" ? code : "unreadable"}`,
      );
    }
  };
  return {
    rejectUnauthorized: mode === "verified",
    minVersion: "TLSv1.2",
    ...(rootCertFile === undefined ? {} : { ca: read("sslrootcert", rootCertFile) }),
    ...(certFile === undefined ? {} : { cert: read("sslcert", certFile) }),
    ...(keyFile === undefined ? {} : { key: read("sslkey", keyFile) }),
  };
}
