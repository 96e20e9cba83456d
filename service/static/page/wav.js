// Sound as a WAV file: 16-bit PCM, mono, little endian.

const HEADER_BYTES = 44;

/**
 * A WAV file of one channel.
 * @param {Int16Array[]} blocks of samples, one after the other
 * @param {number} rateHz
 */
export function wavBlob(blocks, rateHz) {
  const dataBytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES + dataBytes - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, dataBytes, true);
  // The samples as they lie in memory: whatever runs a browser today is little endian.
  return new Blob([view, ...blocks], { type: "audio/wav" });
}
