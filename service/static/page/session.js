// What the page is about at this moment. One thing at a time: whatever begins ends what was before, with a reason.

/** The reader wants no more of it. */
export const CANCELLED = new DOMException("Cancelled", "AbortError");
/** Something else was asked for in its place. */
export const REPLACED = new DOMException("Replaced", "AbortError");
/** The reader went elsewhere, and may come back to it. */
export const LEFT = new DOMException("Left", "AbortError");

export class Session {
  #controller = null;

  /** Ends what was before; the signal says when the new one has ended in its turn. */
  begin(reason) {
    this.end(reason);
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  end(reason) {
    this.#controller?.abort(reason);
    this.#controller = null;
  }
}
