import { parsePostgresUrl, tlsOptions } from "../../src/store/postgres-url.ts";

const off = { mode: "off" };

describe("postgresql:// URLs", () => {
  it.each([
    [
      "postgresql://user:p%40ss@db.example.com:6432/push%20db",
      { host: "db.example.com", port: 6432, user: "user", password: "p@ss", database: "push db", tls: off },
    ],
    ["postgres://h/d", { host: "h", port: 5432, database: "d", tls: off, applicationName: "signalbox" }],
    ["postgresql://u@[::1]:1/d", { host: "::1", port: 1, label: "[::1]:1/d" }],
    ["postgresql:///d?host=/run/postgresql", { host: "/run/postgresql", database: "d", tls: off }],
    ["postgresql://u:p@/d?host=/run/pg&port=6000", { host: "/run/pg", port: 6000, user: "u", password: "p" }],
    [
      "postgresql://localhost/d?user=u&password=p&application_name=gw",
      { user: "u", password: "p", applicationName: "gw" },
    ],
    ["postgresql://h/d?options=-c%20search_path%3Dgw", { options: "-c search_path=gw" }],
    ["postgresql://h/d?sslmode=disable", { tls: off }],
    ["postgresql://h/d?sslmode=require", { tls: { mode: "verified" } }],
    [
      "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca",
      { tls: { mode: "verified", rootCertFile: "/ca" } },
    ],
    ["postgresql://h/d?sslrootcert=/ca", { tls: { mode: "verified", rootCertFile: "/ca" } }],
    ["postgresql://h/d?sslmode=no-verify", { tls: { mode: "unverified" } }],
  ])("%s is understood", (url, expected) => {
    expect(parsePostgresUrl(url)).toMatchObject(expected);
  });

  it("has no user and no password when none is given", () => {
    const server = parsePostgresUrl("postgresql://h/d");
    expect("user" in server || "password" in server).toBe(false);
  });

  it.each([
    ["postgresql://u:secret@h", "name of one database"],
    ["postgresql://u:secret@h/", "name of one database"],
    ["postgresql://u:secret@h/a/b", "name of one database"],
    ["postgresql://u:secret@h:99999/d", "is not a URL"],
    ["postgresql://u:secret@h/d?port=x", "port"],
    ["postgresql://u:secret@h1,h2/d", "several hosts"],
    ["postgresql://u:secret@h/d?sslmode=maybe", "sslmode"],
    ["postgresql://u:secret@h/d?target_session_attrs=any", '"target_session_attrs"'],
    ["postgresql://u:%00secret@h/d", "NUL"],
    ["postgresql://u:%secret@h/d", "percent"],
    ["postgresql://u:secret@[h/d", "is not a URL"],
  ])("%s is refused with a sentence that repeats no password", (url, words) => {
    const result = parsePostgresUrl(url);
    if (!("problem" in result)) throw new Error("not refused");
    expect(result.problem).toContain(words);
    expect(result.problem).not.toContain("secret");
  });

  it("TLS checks the server unless told otherwise, and is not older than 1.2", () => {
    expect(tlsOptions({ mode: "off" })).toBe(false);
    expect(tlsOptions({ mode: "verified" })).toEqual({ rejectUnauthorized: true, minVersion: "TLSv1.2" });
    expect(tlsOptions({ mode: "unverified" })).toMatchObject({ rejectUnauthorized: false });
    const ca = import.meta.filename;
    expect(tlsOptions({ mode: "verified", rootCertFile: ca })).toMatchObject({
      ca: expect.stringContaining("rootCertFile: ca"),
    });
  });
});
