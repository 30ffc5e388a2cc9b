/**
 * An app-ID glob (sygnal-compat 3): `*` is any run of characters, `?` exactly one, all else is literal. A character
 * is a code point other than newline. Matching takes at most (pattern × text) steps and no regular expression.
 */
export interface Glob {
  readonly pattern: string;
  matches(text: string): boolean;
  /** How particular it is: of two globs that match, the one that is greater in the first differing place wins. */
  readonly specificity: readonly [literalPrefix: number, literalSuffix: number, literals: number];
}

const ANY_RUN = 0;
const ANY_ONE = 1;
type Token = typeof ANY_RUN | typeof ANY_ONE | string;

/** Compiles a pattern; every text is a valid pattern. */
export function compileGlob(pattern: string): Glob {
  const tokens = tokenize(pattern);
  const isWild = (token: Token): boolean => typeof token !== "string";
  const firstWild = tokens.findIndex(isWild);
  const lastWild = tokens.findLastIndex(isWild);
  const literals = tokens.filter((token) => !isWild(token)).length;
  return {
    pattern,
    specificity:
      firstWild < 0
        ? [tokens.length, tokens.length, literals]
        : [firstWild, tokens.length - 1 - lastWild, literals],
    matches: (text) => matchTokens(tokens, Array.from(text)),
  };
}

/** True when some text matches both patterns. Exact: walks the product of the two. */
export function globsIntersect(left: string, right: string): boolean {
  const a = tokenize(left);
  const b = tokenize(right);
  const seen = new Set<number>();
  const open: [number, number][] = [[0, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [i, j] = next;
    const id = i * (b.length + 1) + j;
    if (seen.has(id)) continue;
    seen.add(id);
    if (i === a.length && j === b.length) return true;
    const x = a[i];
    const y = b[j];
    if (x === ANY_RUN) open.push([i + 1, j]);
    if (y === ANY_RUN) open.push([i, j + 1]);
    if (x === undefined || y === undefined) continue;
    if (x === ANY_RUN && y !== ANY_RUN && y !== "\n") open.push([i, j + 1]);
    if (y === ANY_RUN && x !== ANY_RUN && x !== "\n") open.push([i + 1, j]);
    if (x !== ANY_RUN && y !== ANY_RUN && singlesMeet(x, y)) open.push([i + 1, j + 1]);
  }
  return false;
}

function singlesMeet(x: Token, y: Token): boolean {
  if (x === ANY_ONE) return y !== "\n";
  if (y === ANY_ONE) return x !== "\n";
  return x === y;
}

/** A run of wildcards is simplified: its `?` first, then one `*`, so that no two runs stand side by side. */
function tokenize(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  let run = false;
  const endRun = (): void => {
    if (run) tokens.push(ANY_RUN);
    run = false;
  };
  for (const character of pattern) {
    if (character === "*") run = true;
    else if (character === "?") tokens.push(ANY_ONE);
    else {
      endRun();
      tokens.push(character);
    }
  }
  endRun();
  return tokens;
}

/** The usual two-pointer walk: on a mismatch the last `*` takes one character more. */
function matchTokens(tokens: readonly Token[], text: readonly string[]): boolean {
  let t = 0;
  let s = 0;
  let star = -1;
  let starText = 0;
  while (s < text.length) {
    const token = tokens[t];
    if (token === ANY_RUN) {
      star = t;
      starText = s;
      t += 1;
    } else if (token !== undefined && (token === ANY_ONE ? text[s] !== "\n" : token === text[s])) {
      t += 1;
      s += 1;
    } else if (star >= 0 && text[starText] !== "\n") {
      starText += 1;
      s = starText;
      t = star + 1;
    } else return false;
  }
  while (tokens[t] === ANY_RUN) t += 1;
  return t === tokens.length;
}
