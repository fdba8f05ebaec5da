/** Adds the verdicts of many histories up. */
import type { Outcome } from '../scenario.js';
import type { Verdict } from './verdict.js';

const mostViolations = 50;

export class Tally {
  #sum = { acknowledged: 0, stored: 0, lost: 0, duplicated: 0, altered: 0 };
  #reported = 0;
  readonly #violations: string[] = [];

  add(history: string, verdict: Verdict): void {
    for (const key of ['acknowledged', 'stored', 'lost', 'duplicated', 'altered'] as const) {
      this.#sum[key] += verdict[key];
    }
    this.#reported += verdict.reported;
    for (const violation of verdict.violations) {
      if (this.#violations.length < mostViolations) this.#violations.push(`${history}: ${violation}`);
    }
  }

  get reported(): number {
    return this.#reported;
  }

  outcome(figures: Readonly<Record<string, number | string>>): Outcome {
    return { ...this.#sum, violations: this.#violations, figures };
  }
}

/** Two outcomes as one. */
export function together(one: Outcome, other: Outcome): Outcome {
  return {
    acknowledged: one.acknowledged + other.acknowledged,
    stored: one.stored + other.stored,
    lost: one.lost + other.lost,
    duplicated: one.duplicated + other.duplicated,
    altered: one.altered + other.altered,
    violations: [...one.violations, ...other.violations],
    figures: { ...one.figures, ...other.figures },
  };
}
