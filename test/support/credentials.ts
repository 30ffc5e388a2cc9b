import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../../src/simulator/certificate.ts";

/** Made once a process: RSA keys take their time. */
let rsaPem: string | undefined;

/** A throw-away directory of synthetic credentials that nobody else can read. */
export interface Credentials {
  readonly directory: string;
  /** Writes a file and returns its path. */
  write(name: string, text: string, mode?: number): string;
  p256(): string;
  p384(): string;
  rsa(): string;
  /** A certificate as Apple makes them, and its key, PEM; with an empty `uid` one of another kind. */
  certificate(options?: { readonly uid?: string; readonly expired?: boolean }): {
    readonly cert: string;
    readonly key: string;
  };
  serviceAccount(change?: Record<string, unknown>): string;
  remove(): void;
}

/** Makes the directory; `remove()` it afterwards. */
export function createCredentials(): Credentials {
  const directory = mkdtempSync(join(tmpdir(), "signalbox-test-"));
  const write = (name: string, text: string, mode = 0o600): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const ec = (namedCurve: string): string =>
    generateKeyPairSync("ec", { namedCurve }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const rsa = (): string => {
    rsaPem ??= generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString();
    return rsaPem;
  };
  return {
    directory,
    write,
    p256: () => ec("prime256v1"),
    p384: () => ec("secp384r1"),
    rsa,
    certificate({ uid = "com.example.ios", expired = false } = {}) {
      const authority = createAuthority("Synthetic CA", expired ? Date.UTC(2020, 0, 1) : Date.now());
      const issued =
        uid === ""
          ? authority.issueServer(["localhost"])
          : authority.issueApnsClient({ topics: [uid], environments: ["production"] });
      return { cert: issued.certPem, key: issued.keyPem };
    },
    serviceAccount: (change = {}) =>
      JSON.stringify({
        type: "service_account",
        project_id: "example-project",
        private_key_id: "synthetic",
        private_key: rsa(),
        client_email: "push@example-project.iam.gserviceaccount.com",
        token_uri: "https://oauth2.googleapis.com/token",
        ...change,
      }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
