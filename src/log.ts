/**
 * What a log line may carry beside its sentence. An allow-list, so that no content, name, pushkey, token, password
 * or query string gets into a log by accident (D14): a new field is added here, with a thought.
 */
export interface LogFields {
  /** One id on the request, its log lines and its answer. */
  readonly request_id?: string;
  /** The app's key in the configuration, never what a stranger sent. */
  readonly app?: string;
  /** Keyed hash prefix of the pushkey. */
  readonly device?: string;
  /** Keyed hash prefix of the event id. */
  readonly event?: string;
  readonly pushkin?: string;
  readonly upstream?: string;
  readonly outcome?: string;
  readonly reason?: string;
  readonly status?: number;
  readonly attempt?: number;
  readonly duration_ms?: number;
  readonly wait_ms?: number;
  readonly count?: number;
  readonly method?: string;
  readonly http_version?: string;
  /** Of an answer's body. */
  readonly bytes?: number;
  /** Path without query, and only one that this gateway serves. */
  readonly path?: string;
  readonly remote?: string;
  readonly address?: string;
  readonly port?: number;
  readonly key?: string;
  readonly file?: string;
  /** An error's class or code, never its message when a stranger's text may be in it. */
  readonly error?: string;
  /** A stack, for bugs of ours only. */
  readonly stack?: string;
  readonly version?: string;
  readonly signal?: string;
  readonly until?: string;
  /** Index of one of several threads, from 0. */
  readonly thread?: number;
}

/** What every line of the access log says. */
export const accessMessage = "request handled";

/**
 * The structured logger. Levels: `error` somebody must act or a bug; `warn` it went wrong and the gateway copes;
 * `info` a life's events (start, stop, rejections, alarms cleared); `debug` every push.
 */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  /** What is dear to make is given as a function, which is called only if the line is written. */
  debug(message: string, fields?: LogFields | (() => LogFields)): void;
  /** A logger that adds these fields to each line. */
  child(fields: LogFields): Log;
}

/** Says nothing. */
export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLog,
};

/**
 * What of a thrown error may be logged: its class and where it came from. Not its message, in which a parser or a
 * driver may quote a stranger's text.
 */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const frames = (error.stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => line.trim());
  return frames.length === 0 ? { error: code } : { error: code, stack: frames.join(" < ") };
}
