/**
 * Prometheus text as OpenMetrics 1.0 wants it: counter families without `_total`, bounds as floats, no empty lines,
 * `# EOF` at the end. (prom-client can print it too, but renames the metrics of the shared registry while doing so.)
 */
export function toOpenMetrics(text: string): string {
  const lines = text.split("\n").filter((line) => line !== "");
  const counters = new Set<string>();
  for (const line of lines) {
    const counter = /^# TYPE (\S+)_total counter$/.exec(line)?.[1];
    if (counter !== undefined) counters.add(counter);
  }
  const printed = lines.map((line) => {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+)_total (.*)$/.exec(line) ?? [];
    if (keyword !== undefined && name !== undefined && counters.has(name))
      return `# ${keyword} ${name} ${rest ?? ""}`;
    return line.startsWith("#") ? line : line.replace(/([{,]le=")(\d+)"/, '$1$2.0"');
  });
  return `${[...printed, "# EOF"].join("\n")}\n`;
}

/** Only the families that have one of the names, a sample's name (`…_bucket`, `…_sum`, `…_count`) included. */
export function onlyNamed(text: string, names: readonly string[]): string {
  const wanted = new Set(
    names.flatMap((name) => [name, name.replace(/_(bucket|sum|count|total|created)$/, "")]),
  );
  const families = text.split(/^(?=# HELP )/m);
  return families
    .filter((family) => {
      const name = /^# HELP (\S+)/.exec(family)?.[1] ?? "";
      return wanted.has(name) || wanted.has(name.replace(/_total$/, ""));
    })
    .join("");
}
