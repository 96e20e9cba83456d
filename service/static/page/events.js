// Server-sent events as the HTML standard defines them, read from a fetched stream: EventSource cannot send a key.

import { brokenOff } from "./problems.js";

/**
 * @param {ReadableStream<Uint8Array>} stream
 * @param {AbortSignal | null} signal
 * @returns {AsyncGenerator<{id: string, data: string}>}
 * @throws {import("./problems.js").UnreachableError} when the connection breaks
 */
export async function* eventsOf(stream, signal = null) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) yield eventOf(block);
    }
  } catch (error) {
    throw brokenOff(error, signal);
  } finally {
    reader.cancel().catch(() => {}); // whoever stops listening lets the connection go
  }
}

function eventOf(block) {
  const event = { id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "id") event.id = value;
    if (field === "data") event.data += (event.data ? "\n" : "") + value;
  }
  return event;
}
