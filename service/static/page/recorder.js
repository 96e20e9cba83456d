// A recording from the microphone, as it sounds: uncompressed, at the microphone's own rate, with nothing "improved".

import { TEXTS } from "./texts.js";
import { wavBlob } from "./wav.js";

const LONGEST_S = 600;
const MOST_BYTES = 48_000_000; // below what a service takes of one file unless it is told otherwise
const LAST_BLOCK_MS = 1_000;
// What these would do to speech they would do to an instrument's timbre as well.
const UNTOUCHED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** The microphone cannot be used; the message says why. */
export class MicrophoneError extends Error {}

/** One recording, from `start` to `stop`. */
export class Recording {
  #blocks = [];
  #stream = null;
  #context = null;
  #node = null;
  #isCancelled = false;
  #ended;

  constructor() {
    /** Resolves when the recording ends by itself: it is as long as one may be, or the microphone is gone. */
    this.over = new Promise((resolve) => { this.#ended = resolve; });
  }

  /**
   * Opens the microphone.
   * @throws {MicrophoneError}
   */
  async start() {
    // On plain http browsers give the microphone to pages of the same machine alone.
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError(TEXTS.microphoneInsecure);
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: UNTOUCHED });
    } catch (error) {
      throw new MicrophoneError(error.name === "NotFoundError" ? TEXTS.microphoneMissing : TEXTS.microphoneRefused);
    }
    try {
      if (!this.#isCancelled) await this.#connect();
    } finally {
      if (this.#isCancelled || !this.#node) this.#release();
    }
  }

  async #connect() {
    const [track] = this.#stream.getAudioTracks();
    const { sampleRate } = track.getSettings();
    this.#context = new AudioContext(sampleRate ? { sampleRate } : {});
    const rateHz = this.#context.sampleRate;
    await this.#context.audioWorklet.addModule(new URL("recorder_worklet.js", import.meta.url));
    const mostSamples = Math.floor(Math.min(LONGEST_S * rateHz, MOST_BYTES / 2));
    this.#node = new AudioWorkletNode(this.#context, "recorder", { numberOfOutputs: 0, processorOptions: { mostSamples } });
    this.#node.port.onmessage = ({ data }) => {
      if (data === null) this.#ended();
      else this.#blocks.push(data);
    };
    track.addEventListener("ended", () => this.#ended());
    this.#context.createMediaStreamSource(this.#stream).connect(this.#node);
    this.#context.resume().catch(() => {}); // where this is not allowed nothing is recorded, and that is told
  }

  /** Ends the recording and returns it as a WAV file; null when nothing was recorded. */
  async stop() {
    const rateHz = this.#context.sampleRate;
    this.#node.port.postMessage("end");
    // A browser that has halted its sound hands on no last block.
    await Promise.race([this.over, new Promise((resolve) => { setTimeout(resolve, LAST_BLOCK_MS); })]);
    this.#release();
    if (!this.#blocks.length) return null;
    return new File([wavBlob(this.#blocks, rateHz)], "recording.wav", { type: "audio/wav" });
  }

  /** Gives the recording up, whether it has begun or is about to. */
  cancel() {
    this.#isCancelled = true;
    this.#release();
  }

  #release() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    if (this.#context && this.#context.state !== "closed") this.#context.close();
  }
}
