import { retryAfterMs } from "../../src/upstream/retry-after.ts";
import { NOON } from "../support/builders.ts";

const HOUR_MS = 3_600_000;

describe("Retry-After (reliability.md UF06)", () => {
  it.each<[string | readonly string[] | undefined, number | undefined]>([
    ["120", 120_000],
    [" 120 ", 120_000],
    ["1.5", 1_500],
    ["0", 1_000],
    ["-5", 1_000],
    ["+7", 7_000],
    ["3600", HOUR_MS],
    ["3601", HOUR_MS],
    ["1e9", HOUR_MS],
    ["1e999", HOUR_MS],
    ["9".repeat(60), HOUR_MS],
    [undefined, undefined],
    ["", undefined],
    [" ", undefined],
    ["soon", undefined],
    ["12s", undefined],
    ["0x10", undefined],
    ["Infinity", undefined],
    ["NaN", undefined],
    ["1, 2", undefined],
    ["1".repeat(65), undefined],
    // Date.parse would take these for dates.
    ["2027", 2_027_000],
    ["5 6", undefined],
    ["2027-01-01", undefined],
    // Several headers: the last one counts, as in Sygnal (sygnal-compat 11.5).
    [["10", "20"], 20_000],
    [["10", "soon"], undefined],
    [[], undefined],
  ])("%j is %s", (header, expected) => {
    expect(retryAfterMs(header, NOON)).toBe(expected);
  });

  it.each<[string, string, number | undefined]>([
    ["an HTTP date", "Fri, 20 Nov 2026 12:02:00 GMT", 120_000],
    ["one in the old form", "Friday, 20-Nov-26 12:02:00 GMT", 120_000],
    ["one that is over", "Fri, 20 Nov 2026 11:00:00 GMT", 1_000],
    ["one far away", "Mon, 20 Nov 2028 12:00:00 GMT", HOUR_MS],
    ["one that is none", "Mon, 99 Xyz 2026", undefined],
    ["a weekday alone", "Fri,", undefined],
  ])("%s", (_name, header, expected) => {
    expect(retryAfterMs(header, NOON)).toBe(expected);
  });
});
