/**
 * What is done now and then beside training, so that it takes a share of the time at most: after it took t, it rests t/share. How long
 * a picture takes differs a hundredfold among the machines that this runs on, so no fixed number of times a second would do.
 */
export class Share {
  readonly #share: number;
  readonly #least: number;
  #next = 0;

  /** @param share of all time. @param least milliseconds between two times. */
  constructor(share: number, least: number) {
    this.#share = share;
    this.#least = least;
  }

  /** Does it if it is its time. @returns whether it did. */
  async when(task: () => Promise<void> | void): Promise<boolean> {
    if (performance.now() < this.#next) return false;
    await this.now(task);
    return true;
  }

  /** Does it. */
  async now(task: () => Promise<void> | void): Promise<void> {
    const start = performance.now();
    await task();
    const took = performance.now() - start;
    this.#next = start + Math.max(this.#least, took / this.#share);
  }

  /** Has it done at the next opportunity. */
  hurry(): void {
    this.#next = 0;
  }
}
