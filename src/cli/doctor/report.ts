import type { Diagnosis, DiagnosisVerdict } from "../../core/diagnosis.ts";

/** A line and what it is about: an app's id, or a section of the configuration. */
export interface ReportLine extends Diagnosis {
  readonly subject: string;
}

/** Lines about one subject. */
export function about(subject: string, lines: readonly Diagnosis[]): readonly ReportLine[] {
  return lines.map((line) => ({ subject, ...line }));
}

const COLOURS: Readonly<Record<DiagnosisVerdict, string>> = {
  ok: "\u001b[32m",
  warning: "\u001b[33m",
  failed: "\u001b[31m",
  skipped: "\u001b[2m",
};

/** The lines as a table, the remedy at the end of its own line, and a count. */
export function printReport(lines: readonly ReportLine[], colours: boolean): string {
  const width = (cell: (line: ReportLine) => string): number =>
    Math.max(0, ...lines.map((line) => cell(line).length));
  const subjectWidth = width(({ subject }) => subject);
  const checkWidth = width(({ check }) => check);
  const rows = lines.map(({ subject, check, verdict, finding, remedy }) => {
    const word = verdict.padEnd("warning".length);
    const shown = colours ? `${COLOURS[verdict]}${word}\u001b[0m` : word;
    const what = remedy === undefined ? finding : `${finding} -> ${remedy}`;
    return `${shown}  ${subject.padEnd(subjectWidth)}  ${check.padEnd(checkWidth)}  ${what}\n`;
  });
  const count = (verdict: DiagnosisVerdict): number =>
    lines.filter((line) => line.verdict === verdict).length;
  const sum = (["ok", "warning", "failed", "skipped"] as const)
    .map((verdict) => `${count(verdict)} ${verdict}`)
    .join(", ");
  return `${rows.join("")}\n${sum}\n`;
}

/** The same for programs. */
export function reportJson(lines: readonly ReportLine[]): string {
  return `${JSON.stringify({ ok: isHealthy(lines), checks: lines }, undefined, 2)}\n`;
}

/** No line failed. */
export function isHealthy(lines: readonly ReportLine[]): boolean {
  return lines.every(({ verdict }) => verdict !== "failed");
}
