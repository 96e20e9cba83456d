// Which part of the recording is seen, shared by everything that is drawn over time.

const SHORTEST_S = 0.25;

export class TimeWindow extends EventTarget {
  #isFollowing = true;

  /** @param {number} startS @param {number} endS of all that there is to see */
  constructor(startS, endS) {
    super();
    this.firstS = startS;
    this.lastS = endS;
    this.startS = startS;
    this.endS = endS;
  }

  get spanS() {
    return this.endS - this.startS;
  }

  get isWhole() {
    return this.startS <= this.firstS && this.endS >= this.lastS;
  }

  /** Shows more (factor above 1) or less around a time that stays where it is. */
  zoom(factor, aroundS = (this.startS + this.endS) / 2) {
    const spanS = Math.min(this.lastS - this.firstS, Math.max(SHORTEST_S, this.spanS * factor));
    const part = (aroundS - this.startS) / this.spanS;
    this.#look(aroundS - part * spanS, spanS);
  }

  pan(byS) {
    this.#look(this.startS + byS, this.spanS);
  }

  showAll() {
    this.#show(this.firstS, this.lastS - this.firstS);
  }

  /** Follows what plays from here on: whoever looked elsewhere has come back to it. */
  follow() {
    this.#isFollowing = true;
  }

  /** Turns the page when a time is no longer in sight, but not for somebody who looked elsewhere meanwhile. */
  reveal(timeS) {
    const isInSight = timeS >= this.startS && timeS <= this.endS;
    if (isInSight) this.#isFollowing = true;
    else if (this.#isFollowing) this.#show(timeS - 0.05 * this.spanS, this.spanS);
  }

  #look(startS, spanS) {
    this.#isFollowing = false;
    this.#show(startS, spanS);
  }

  #show(startS, spanS) {
    const start = Math.max(this.firstS, Math.min(startS, this.lastS - spanS));
    if (start === this.startS && start + spanS === this.endS) return;
    this.startS = start;
    this.endS = start + spanS;
    this.dispatchEvent(new Event("change"));
  }
}
