/** Where in the configuration: keys from the top; a number of a list as its digits. */
export type ConfigPath = readonly string[];

/** Something wrong at a path. The sentence goes on from the path and never holds a secret's value. */
export interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
}

/** A finding with its place in the file, as it is told to the operator. */
export interface Problem {
  readonly file: string;
  /** Counts from 1; absent when it concerns the whole file or something outside it. */
  readonly line?: number;
  readonly column?: number;
  /** `apps["com.example.ios"].key_id`; empty when it concerns the whole file. */
  readonly path: string;
  readonly message: string;
}

/** One line: `file:line: path: message`. Where no path says where it is, as in a syntax error, the column does. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message } = problem;
  const place = [file, line, path === "" ? column : undefined].filter((part) => part !== undefined).join(":");
  return [place, path, message].filter((part) => part !== "").join(": ");
}

/** A path as it is written in messages: `http.bind_addresses[0]`, `apps["com.example.*"].topic`. */
export function formatPath(path: ConfigPath): string {
  return path
    .map((key, index) => {
      const isAppId = index === 1 && path[0] === "apps";
      if (/^\d+$/.test(key) && !isAppId) return `[${key}]`;
      const plain = /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) && !isAppId;
      if (!plain) return `[${JSON.stringify(key)}]`;
      return index === 0 ? key : `.${key}`;
    })
    .join("");
}
