import { compileGlob, globsIntersect, type Glob } from "./glob.ts";

/** So that a flood of made-up app ids can neither fill the memory nor push the usual ones out for long. */
const MAX_REMEMBERED = 4096;
const MAX_REMEMBERED_LENGTH = 128;

/** Finds what is configured for an app_id: the exact name, else the most specific glob (design, B17). */
export class AppRouter<App> {
  readonly #exact: ReadonlyMap<string, App>;
  /** The most specific first, so the first that matches wins. */
  readonly #globs: readonly { readonly glob: Glob; readonly app: App }[];
  readonly #remembered = new Map<string, App | undefined>();

  /** @param apps the keys of the configuration, `*` and `?` in them being wildcards */
  constructor(apps: Iterable<readonly [key: string, app: App]>) {
    const entries = [...apps];
    this.#exact = new Map(entries);
    this.#globs = entries
      .filter(([key]) => isGlob(key))
      .map(([key, app]) => ({ glob: compileGlob(key), app }))
      .sort((a, b) => compareSpecificity(b.glob, a.glob));
  }

  /** The app, or undefined when none is configured. */
  find(appId: string): App | undefined {
    const exact = this.#exact.get(appId);
    if (exact !== undefined || this.#globs.length === 0) return exact;
    if (this.#remembered.has(appId)) return this.#remembered.get(appId);
    const found = this.#globs.find(({ glob }) => glob.matches(appId))?.app;
    if (appId.length <= MAX_REMEMBERED_LENGTH) {
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(appId, found);
    }
    return found;
  }
}

/**
 * Pairs of globs that are equally specific although some app_id matches both: no rule says which one it belongs to,
 * so the start is refused.
 */
export function findTiedGlobs(patterns: readonly string[]): readonly [string, string][] {
  const globs = patterns.filter(isGlob).map(compileGlob);
  const tied: [string, string][] = [];
  globs.forEach((left, index) => {
    for (const right of globs.slice(index + 1)) {
      if (compareSpecificity(left, right) === 0 && globsIntersect(left.pattern, right.pattern)) {
        tied.push([left.pattern, right.pattern]);
      }
    }
  });
  return tied;
}

function isGlob(key: string): boolean {
  return key.includes("*") || key.includes("?");
}

function compareSpecificity(left: Glob, right: Glob): number {
  for (const [place, value] of left.specificity.entries()) {
    const difference = value - (right.specificity[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
