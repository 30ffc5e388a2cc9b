/*
 * What a canary run changes in the sources while they are loaded: the log is heard at debug level whatever it is set
 * to, and in the control run what keeps secrets in is switched off. Each change must find its place, or the run fails.
 */

/** `watch` listens; `leak` is the control run, which lets secrets out. */
export type Mode = "watch" | "leak";

interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const tap = `globalThis[Symbol.for("signalbox.canaries")]`;

const listen: readonly Change[] = [
  {
    file: "src/log/create-log.ts",
    from: "export function createLog(options: LogOptions = {}): ClosableLog {",
    to:
      `export function createLog(options: LogOptions = {}): ClosableLog { return ${tap}.tee(untapped(options), untapped); } ` +
      "function untapped(options: LogOptions = {}): ClosableLog {",
  },
  {
    file: "src/log.ts",
    from: "export const silentLog: Log = {\n  error() {},\n  warn() {},\n  info() {},\n  debug() {},",
    to: `export const silentLog: Log = {\n  ...${tap}.silent(),`,
  },
  {
    file: "src/metrics/metrics.ts",
    from: "const registry = new Registry();",
    to: `const registry = ${tap}.registry(new Registry());`,
  },
  {
    file: "src/core/app-router.ts",
    from: "this.#exact = new Map(entries);",
    to: `this.#exact = ${tap}.apps(new Map(entries));`,
  },
];

const leak: readonly Change[] = [
  {
    file: "src/log-observer.ts",
    from: "function settledFields({ app, pushkin, device, settled, durationMs, attempts }: SettledEvent): LogFields {",
    to:
      "function settledFields({ app, pushkin, push: { pushkey: device }, settled, durationMs, attempts }: SettledEvent): LogFields {" +
      ` process.getBuiltinModule("node:process").title = device;`,
  },
  {
    file: "src/log-observer.ts",
    from: 'device === "" ? {} : { device: device.slice(0, deviceDigits) }',
    to: 'device === "" ? {} : { device }',
  },
  {
    file: "src/gateway/tracing.ts",
    from: "eventDigest: (eventId) => digests.event(eventId).slice(0, EVENT_DIGITS)",
    to: "eventDigest: (eventId) => eventId",
  },
  {
    file: "src/metrics/metrics.ts",
    from: 'settled({ app = "", settled }) {',
    to: "settled({ push: { pushkey: app }, settled }) {",
  },
  {
    file: "src/http/answer.ts",
    from: "  if (res.headersSent || res.destroyed) return;\n",
    to: "  if (res.headersSent || res.destroyed) return; if (answer.status >= 400) answer = { ...answer, body: answer.body + req.url };\n",
  },
];

/** The files that are changed. */
export const changedFiles: readonly string[] = [...new Set([...listen, ...leak].map(({ file }) => file))];

/** A source as it is loaded in this mode. Throws when a change no longer finds its place. */
export function changed(file: string, source: string, mode: Mode): string {
  const changes = mode === "leak" ? [...listen, ...leak] : listen;
  return changes
    .filter((change) => file.endsWith(`/${change.file}`))
    .reduce((text, { from, to }) => {
      if (!text.includes(from)) throw new Error(`test/canaries/changes.ts: not found in ${file}: ${from}`);
      return text.replace(from, () => to);
    }, source);
}
