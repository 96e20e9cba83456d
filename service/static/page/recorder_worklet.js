// Runs where the browser processes sound: hands the microphone's samples on as they come, as 16-bit PCM, mono.
//
// It posts Int16Arrays of whole blocks, and null once it has handed on all that it will.

const BLOCK_SAMPLES = 4_096;

class RecorderWorklet extends AudioWorkletProcessor {
  #block = new Int16Array(BLOCK_SAMPLES);
  #filled = 0;
  #left;
  #isEnded = false;

  constructor({ processorOptions }) {
    super();
    this.#left = processorOptions.mostSamples;
    this.port.onmessage = () => this.#end();
  }

  /** @param {Float32Array[][]} inputs of which there is one, with all channels of the microphone */
  process([channels]) {
    const n = channels.length ? Math.min(channels[0].length, this.#left) : 0;
    for (let i = 0; i < n && !this.#isEnded; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const level = Math.max(-1, Math.min(1, sum / channels.length));
      this.#block[this.#filled] = Math.round(32_767 * level);
      this.#filled += 1;
      if (this.#filled === BLOCK_SAMPLES) this.#handOn();
    }
    this.#left -= n;
    if (this.#left <= 0) this.#end();
    return !this.#isEnded;
  }

  #handOn() {
    this.port.postMessage(this.#block.slice(0, this.#filled));
    this.#filled = 0;
  }

  #end() {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#filled) this.#handOn();
    this.port.postMessage(null);
  }
}

registerProcessor("recorder", RecorderWorklet);
