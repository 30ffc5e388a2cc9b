/** Time is counted in so many steps of the window: what is forgotten is at most a step too young. */
const STEPS = 20;

/** How many of the latest results were failures, in constant space however many there are. */
export class RollingShare {
  readonly #stepMs: number;
  readonly #totals: number[] = new Array<number>(STEPS).fill(0);
  readonly #failed: number[] = new Array<number>(STEPS).fill(0);
  #step = 0;
  #total = 0;
  #failures = 0;

  constructor(windowMs: number) {
    this.#stepMs = windowMs / STEPS;
  }

  /** Results within the window, as of the last `add`. */
  get total(): number {
    return this.#total;
  }

  get failures(): number {
    return this.#failures;
  }

  /** @param nowMs never goes back */
  add(failed: boolean, nowMs: number): void {
    this.#moveTo(Math.floor(nowMs / this.#stepMs));
    const place = this.#step % STEPS;
    this.#totals[place] = (this.#totals[place] ?? 0) + 1;
    this.#total += 1;
    if (!failed) return;
    this.#failed[place] = (this.#failed[place] ?? 0) + 1;
    this.#failures += 1;
  }

  clear(): void {
    this.#totals.fill(0);
    this.#failed.fill(0);
    this.#total = this.#failures = 0;
  }

  #moveTo(step: number): void {
    if (step - this.#step >= STEPS) this.clear();
    else {
      for (let passed = this.#step + 1; passed <= step; passed += 1) {
        const place = passed % STEPS;
        this.#total -= this.#totals[place] ?? 0;
        this.#failures -= this.#failed[place] ?? 0;
        this.#totals[place] = this.#failed[place] = 0;
      }
    }
    this.#step = Math.max(this.#step, step);
  }
}
