// Sound from the microphone, and sound as a WAV file: 16-bit PCM, mono, little endian.

const HEADER_BYTES = 44;

/**
 * A WAV file of one channel.
 * @param {Float32Array} samples full scale is 1; what lies beyond is clipped
 */
export function wavBlob(samples, rateHz) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => {
    view.setInt16(HEADER_BYTES + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
  });
  return new Blob([view], { type: "audio/wav" });
}

/** The mean of a decoded sound's channels. */
export function mono(buffer) {
  const sum = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((sample, i) => {
      sum[i] += sample / buffer.numberOfChannels;
    });
  }
  return sum;
}

/** A recording from the microphone, from `start` to `stop`. */
export class Recorder {
  #recorder = null;

  get isRecording() {
    return this.#recorder !== null;
  }

  async start() {
    // What these would do to speech they would do to an instrument's timbre as well.
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.start();
  }

  /** Ends the recording and returns it as a WAV file. */
  async stop() {
    const recorder = this.#recorder;
    this.#recorder = null;
    const parts = [];
    await new Promise((resolve) => {
      recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
      recorder.addEventListener("stop", resolve);
      recorder.stop();
    });
    recorder.stream.getTracks().forEach((track) => track.stop());
    const context = new AudioContext();
    try {
      const sound = await context.decodeAudioData(await new Blob(parts).arrayBuffer());
      return new File([wavBlob(mono(sound), sound.sampleRate)], "recording.wav", { type: "audio/wav" });
    } finally {
      await context.close();
    }
  }
}
