import { parsePostgresUrl, type PostgresServer } from "./postgres-url.ts";

/** What `store.url` says, or a sentence about what is wrong with it. */
export type StoreLocation =
  | { readonly kind: "sqlite"; readonly file: string }
  | { readonly kind: "postgresql"; readonly server: PostgresServer }
  | { readonly kind: "memory" }
  | { readonly problem: string };

/** Reads `store.url`. A password in it is not repeated in the problem. */
export function parseStoreUrl(url: string): StoreLocation {
  if (url === "memory:") return { kind: "memory" };
  if (url.startsWith("sqlite:")) {
    const file = url.slice("sqlite:".length);
    if (file === "" || file.endsWith("/"))
      return { problem: "sqlite: needs the name of a file, as in sqlite:signalbox.db" };
    if (file === ":memory:") return { problem: "a store without a file is written memory:" };
    if (file.includes("\0")) return { problem: "the name of the file holds a NUL character" };
    return { kind: "sqlite", file };
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const server = parsePostgresUrl(url);
    return "problem" in server ? server : { kind: "postgresql", server };
  }
  return { problem: "must be sqlite:FILE, postgresql://user:password@host/database or memory:" };
}
