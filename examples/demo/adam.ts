/** Adam (Kingma and Ba, 2015), with the paper's constants. */
const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-8;

export class Adam {
  readonly #parameters: Float32Array;
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  #updates = 0;

  constructor(parameters: Float32Array) {
    this.#parameters = parameters;
    this.#mean = new Float32Array(parameters.length);
    this.#square = new Float32Array(parameters.length);
  }

  update(gradient: Float32Array, rate: number): void {
    this.#updates++;
    const meanScale = 1 / (1 - beta1 ** this.#updates);
    const squareScale = 1 / (1 - beta2 ** this.#updates);
    for (let at = 0; at < gradient.length; at++) {
      const slope = gradient[at]!;
      const mean = beta1 * this.#mean[at]! + (1 - beta1) * slope;
      const square = beta2 * this.#square[at]! + (1 - beta2) * slope * slope;
      this.#mean[at] = mean;
      this.#square[at] = square;
      this.#parameters[at]! -= (rate * mean * meanScale) / (Math.sqrt(square * squareScale) + epsilon);
    }
  }
}
