import { createHistogram } from "node:perf_hooks";
import { isJsonObject } from "../json.ts";
import type { LoadResult } from "./connection.ts";

/** What a load came to so far. Times in milliseconds. */
export interface LoadFigures {
  readonly elapsedMs: number;
  /** Requests that ended, with an answer or without. */
  readonly requests: number;
  /** Pushes in requests that were answered 200. */
  readonly pushes: number;
  /** Pushkeys that answers named as rejected. */
  readonly rejected: number;
  /** Answers by status, such as `200`, and failures by reason, such as `ECONNREFUSED`; most frequent first. */
  readonly outcomes: readonly (readonly [name: string, count: number])[];
  /** Share of the requests, those that were due and never sent included, that were answered 200. */
  readonly successShare: number;
  /** Requests that were due and that no caller was free for. */
  readonly unsent: number;
  readonly latency: Latencies;
  /** How many requests took longer than the bucket before and at most so long; each bucket is twice the one before. */
  readonly buckets: readonly LatencyBucket[];
}

/** Requests by how long they took. */
export interface LatencyBucket {
  readonly upToMs: number;
  readonly count: number;
}

/** How long requests took, failed ones too. Milliseconds; 0 without requests. */
export interface Latencies {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

const usPerMs = 1000;
/** From a quarter of a millisecond to over two minutes; the last one takes all that is longer. */
const bucketsMs = Array.from({ length: 20 }, (_, i) => 2 ** (i - 2));

/** Counts what a load's requests come to. Node's histogram is an HdrHistogram: constant size, three digits. */
export class LoadTally {
  readonly #histogram = createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 });
  readonly #outcomes = new Map<string, number>();
  readonly #buckets: number[] = bucketsMs.map(() => 0);
  #requests = 0;
  #pushes = 0;
  #rejected = 0;

  add(result: LoadResult, pushes: number, tookMs: number): void {
    this.#requests += 1;
    this.#histogram.record(Math.max(1, Math.round(tookMs * usPerMs)));
    const bucket = Math.min(bucketsMs.length - 1, Math.max(0, Math.ceil(Math.log2(tookMs)) + 2));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    const name = result.kind === "failed" ? result.reason : String(result.status);
    this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1);
    if (result.kind !== "answer" || result.status !== 200) return;
    this.#pushes += pushes;
    if (result.body !== '{"rejected":[]}') this.#rejected += rejectedIn(result.body);
  }

  /** @param unsent requests that were due and never sent */
  figures(elapsedMs: number, unsent: number): LoadFigures {
    const at = (percentile: number): number =>
      this.#requests === 0 ? 0 : this.#histogram.percentile(percentile) / usPerMs;
    const total = this.#requests + unsent;
    return {
      elapsedMs,
      requests: this.#requests,
      pushes: this.#pushes,
      rejected: this.#rejected,
      outcomes: [...this.#outcomes].sort(([, a], [, b]) => b - a),
      successShare: total === 0 ? 0 : (this.#outcomes.get("200") ?? 0) / total,
      unsent,
      buckets: bucketsMs.map((upToMs, i) => ({ upToMs, count: this.#buckets[i] ?? 0 })),
      latency: {
        mean: this.#requests === 0 ? 0 : this.#histogram.mean / usPerMs,
        p50: at(50),
        p90: at(90),
        p99: at(99),
        p999: at(99.9),
        max: this.#requests === 0 ? 0 : this.#histogram.max / usPerMs,
      },
    };
  }
}

/** Sygnal writes its answer with a space, so it is read and not compared. */
function rejectedIn(body: string): number {
  try {
    const parsed: unknown = JSON.parse(body);
    const rejected = isJsonObject(parsed) ? parsed["rejected"] : undefined;
    return Array.isArray(rejected) ? rejected.length : 0;
  } catch {
    return 0;
  }
}
