import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Who may import whom under src/. Data goes one way: doors → core → pushkins → upstream. The first row whose left
 * side fits a file holds for it. A name that ends in `/` stands for everything below, `*` for one folder or file
 * name, `./` for the file's own folder. Whoever needs a new arrow adds it here, with a thought.
 */
const leaves = "cancellation.ts clock.ts json.ts json-schema.ts linked-list.ts log.ts passing-map.ts uuid.ts";
/** What a module's config.ts describes its section of the configuration with. */
const sectionParts =
  "config/cidr.ts config/durations.ts config/fields.ts config/pem.ts config/problem.ts config/read-file.ts json-schema.ts";

const arrows: readonly (readonly [files: string, mayImport: string])[] = [
  [
    "cancellation.ts clock.ts json.ts json-schema.ts late-listener.ts linked-list.ts log.ts node-http.ts passing-map.ts thread-flags.ts uuid.ts version.ts",
    "",
  ],

  // The core knows nobody: interfaces of the store, and nothing of HTTP, configuration files or libraries.
  ["core/config.ts", `core/ ${sectionParts}`],
  ["core/", `core/ store/store.ts ${leaves}`],

  // What the core and the pushkins stand on.
  ["store/config.ts", `store/store-url.ts ${sectionParts}`],
  ["upstream/config.ts", sectionParts],
  ["store/", "store/ clock.ts log.ts thread-flags.ts"],
  ["upstream/", `upstream/ node-http.ts ${leaves}`],

  // Siblings never import each other.
  ["doors/index.ts", "doors/ http/door.ts"],
  ["doors/openapi.ts", "doors/ http/openapi.ts json.ts"],
  ["doors/*/config.ts", `./ ${sectionParts} json.ts`],
  ["doors/*/", `./ core/ http/ ${leaves}`],
  ["pushkins/index.ts", "pushkins/ core/pushkin.ts"],
  // What Web Push services and UnifiedPush servers have in common; no pushkin of its own.
  [
    "pushkins/push-service/",
    `./ pushkins/app-options.ts pushkins/diagnose-upstream.ts pushkins/truncate.ts core/ upstream/ ${sectionParts} ${leaves}`,
  ],
  [
    "pushkins/webpush/config.ts pushkins/unifiedpush/config.ts",
    `./ pushkins/push-service/ pushkins/app-options.ts core/ ${sectionParts} json.ts`,
  ],
  [
    "pushkins/webpush/ pushkins/unifiedpush/",
    `./ pushkins/push-service/ pushkins/*.ts core/ upstream/ ${leaves}`,
  ],
  ["pushkins/*/config.ts", `./ pushkins/app-options.ts core/ ${sectionParts} json.ts`],
  ["pushkins/*/", `./ pushkins/*.ts core/ upstream/ ${leaves}`],
  ["pushkins/app-options.ts", `core/ ${sectionParts} json.ts`],
  ["pushkins/*.ts", `pushkins/truncate.ts pushkins/app-options.ts core/ upstream/ ${leaves}`],

  // HTTP is given its doors by the gateway.
  ["http/config.ts", `http/ ${sectionParts}`],
  ["http/", `http/ core/ late-listener.ts node-http.ts ${leaves}`],

  // What operators see and do; it is given what it tells of by the gateway.
  ["admin/", `admin/ explain/ core/ http/ store/store.ts ${leaves}`],

  ["explain/config.ts", sectionParts],
  ["explain/", `explain/ core/ http/errors.ts http/observer.ts store/store.ts ${leaves}`],

  // Whoever counts or logs listens; nobody asks them.
  ["log-config.ts metrics/config.ts", `${sectionParts} json.ts`],
  ["log/", `log/ ${leaves}`],
  ["log-observer.ts", `core/observer.ts http/observer.ts ${leaves}`],
  ["metrics/", `metrics/ core/ http/observer.ts store/store.ts late-listener.ts node-http.ts ${leaves}`],
  ["tracing/", `tracing/ core/ http/observer.ts ${leaves}`],
  ["watchdog.ts give-back-memory.ts", leaves],

  // The configuration is composed of every module's section.
  ["config/", `config/ core/ */config.ts doors/*/config.ts log-config.ts ${leaves}`],

  // The fake upstreams know nothing of what they test.
  ["simulator/", `simulator/ ${leaves}`],
  // Nor does the load client know whom it loads.
  ["load/", "load/ json.ts"],

  // These alone know everyone.
  [
    "gateway.ts gateway/ workers/",
    `gateway/ workers/ admin/ explain/ config/ core/ doors/ http/ log/ metrics/ pushkins/ store/ tracing/ upstream/ log-config.ts log-observer.ts gateway.ts late-listener.ts thread-flags.ts version.ts watchdog.ts ${leaves}`,
  ],
  [
    "cli/ demo/",
    `cli/ demo/ simulator/ load/ config/ core/ doors/ http/ log/ metrics/ pushkins/ store/ upstream/ gateway.ts gateway/ log-config.ts log-observer.ts give-back-memory.ts version.ts ${leaves}`,
  ],
  ["main.ts", `cli/ ${leaves}`],
];

/** The same number as eslint's max-lines, which leaves out empty lines and comments too. */
const maxLines = 400;

interface Source {
  /** Below src/, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

interface Import {
  /** As written. */
  readonly specifier: string;
  readonly isType: boolean;
  /** Below src/; absent for packages and Node's own modules. */
  readonly target?: string;
}

const root = fileURLToPath(new URL("../src/", import.meta.url));
const sources: readonly Source[] = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .sort()
  .map((path) => {
    const text = readFileSync(`${root}${path}`, "utf8");
    return { path, text, imports: importsOf(path, text) };
  });

function importsOf(path: string, text: string): readonly Import[] {
  const statements =
    /^(?:import|export)\s+(?:(type)\s)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...text.matchAll(statements)].map((match) => {
    const specifier = match[2] ?? match[3] ?? "";
    const target = specifier.startsWith(".") ? posix.join(dirname(path), specifier) : undefined;
    return { specifier, isType: match[1] === "type", ...(target === undefined ? {} : { target }) };
  });
}

/** Whether a path is what one of the space-separated names stands for, seen from a file. */
function fits(path: string, names: string, from: string): boolean {
  return names
    .split(" ")
    .filter((name) => name !== "")
    .some((name) => {
      const full = name === "./" ? `${dirname(from)}/` : name;
      const pattern = full.replaceAll(".", "\\.").replaceAll("*", "[^/]+");
      return new RegExp(`^${pattern}${full.endsWith("/") ? "" : "$"}`).test(path);
    });
}

const allowedFor = (path: string): string | undefined =>
  arrows.find(([files]) => fits(path, files, path))?.[1];

describe("the architecture", () => {
  it("sees the files and their imports", () => {
    expect(sources.length).toBeGreaterThan(50);
    const count = (pattern: RegExp): number =>
      sources.reduce((sum, { text }) => sum + [...text.matchAll(pattern)].length, 0);
    const seen = sources.reduce((sum, { imports }) => sum + imports.length, 0);
    // Each line that ends an import statement has been understood.
    expect(seen).toBeGreaterThanOrEqual(count(/^(?:import|\}) .*from "[^"]+";$/gm));
  });

  it("has a row for every file", () => {
    expect(sources.map(({ path }) => path).filter((path) => allowedFor(path) === undefined)).toEqual([]);
  });

  it("has no import that goes against the arrows", () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !fits(target, allowedFor(path) ?? "", path))
        .map(({ target }) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("imports siblings by a path that ends in .ts and exists", () => {
    const paths = new Set(sources.map(({ path }) => path));
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => target !== undefined && !paths.has(target))
        .map(({ specifier }) => `${path}: "${specifier}"`),
    );
    expect(wrong).toEqual([]);
  });

  it("has no circles", () => {
    expect(circlesAmong(sources)).toEqual([]);
  });

  it("has nothing of TypeBox but its types: json-schema.ts makes the schemas", () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier, isType }) => specifier.startsWith("@sinclair/typebox") && !isType)
        .map(() => path),
    );
    expect(wrong).toEqual([]);
  });

  it("keeps libraries out of the core, but for the types of TypeBox", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("core/"))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target, specifier }) => target === undefined && !specifier.startsWith("node:"))
          .filter(({ specifier, isType }) => specifier !== "@sinclair/typebox" || !isType)
          .map(({ specifier }) => `${path} -> ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });

  it(`has no file over ${maxLines} lines`, () => {
    const isCode = (line: string): boolean => line.trim() !== "" && !/^\s*(?:\/\/|\/?\*)/.test(line);
    const long = sources.map(({ path, text }) => [path, text.split("\n").filter(isCode).length] as const);
    expect(long.filter(([, lines]) => lines > maxLines)).toEqual([]);
  });
});

/** Each circle once, as the list of its files. */
function circlesAmong(all: readonly Source[]): readonly string[] {
  const byPath = new Map(all.map((source) => [source.path, source]));
  const done = new Set<string>();
  const circles: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) circles.push([...trail.slice(start), path].join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const { target } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined) walk(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of all) walk(path, []);
  return circles;
}
