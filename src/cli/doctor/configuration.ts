import type { Loaded } from "../../config/load.ts";
import type { Problem } from "../../config/problem.ts";
import { failed, ok, warning, type Diagnosis } from "../../core/diagnosis.ts";
import { about, type ReportLine } from "./report.ts";

/** What `signalbox check` would say, each with its remedy, at the app that it concerns. */
export function configurationLines(file: string, loaded: Loaded): readonly ReportLine[] {
  const problems = loaded.ok ? [] : loaded.problems;
  const lines = [
    ...problems.flatMap((problem) => lineOf(problem, failed)),
    ...loaded.warnings.flatMap((problem) => lineOf(problem, warning)),
  ];
  if (!loaded.ok) return lines;
  const { size } = loaded.config.apps;
  return [
    ...about("config", [ok("file", `${file} is valid, ${size} ${size === 1 ? "app" : "apps"}`)]),
    ...lines,
  ];
}

function lineOf(
  { file, line, path, message }: Problem,
  verdict: (check: string, finding: string, remedy: string) => Diagnosis,
): readonly ReportLine[] {
  const app = /^apps\["(.+?)"\](?:\.([\w.]+))?/.exec(path);
  const option = app?.[2] ?? (path === "" ? "file" : path);
  // The remedy stands in the line's own place.
  const found = message.replace(/; chmod o= it$/, "");
  const finding = option === "file" ? found : `${option} ${found}`;
  const place = line === undefined ? file : `${file}:${line}`;
  return about(app?.[1] ?? "config", [verdict("config", finding, `${remedyFor(finding)} (${place})`)]);
}

/** What a sentence of the configuration check asks for; the sentence itself says the most. */
const REMEDIES: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [/permission denied/, "let the user that runs the gateway read the file: chown or chmod it"],
  [/no such file/, "correct the path; it is relative to the working directory of the gateway"],
  [/others can read/, "chmod o= the file, or chown it to the user that runs the gateway"],
  [/expired on/, "get a new certificate and put it into this file"],
  [/not valid before/, "check this machine's clock, or wait until the certificate begins"],
  [/do not belong together/, "put certificate and key of one pair into the files"],
  [
    /because admin\.bind_address is not a loopback/,
    "set admin.token (openssl rand -base64 32), or bind to 127.0.0.1",
  ],
  [/environment variable/, "set the variable where the gateway is started"],
  [/did you mean/, "write the key as suggested"],
  [
    /^keyfile holds/,
    "name the .p8 file that Apple gave for the key: Certificates, Identifiers & Profiles > Keys",
  ],
  [
    /^certfile holds/,
    "name a PEM file with the push certificate and its private key: openssl pkcs12 -in FILE.p12 -out FILE.pem -nodes",
  ],
  [
    /^service_account_file (?:holds|is not)/,
    "name the file that Firebase console > Project settings > Service accounts gives; the app's google-services.json is none",
  ],
  [/^vapid_private_key holds/, "name the file that `signalbox vapid` has made"],
  [/^vapid_contact_email/, "write an address at which push services reach you, such as ops@example.com"],
  [/^ca_file holds/, "name a PEM file with the certificate of the CA that signed the endpoint's"],
  [
    /its lines would be lost/,
    "let the user that runs the gateway write there: make the directory, chown it, or name another file",
  ],
  [/is ignored/, "remove the key, once nothing else reads this file"],
  [/unknown key/, "remove the key, or look its name up in sygnal.example.yaml"],
];

function remedyFor(message: string): string {
  return (
    REMEDIES.find(([pattern]) => pattern.test(message))?.[1] ??
    "correct this key; sygnal.example.yaml shows each"
  );
}
