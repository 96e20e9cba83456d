// What can go wrong with a request: the service answers with a problem, or it cannot be reached.

/** A problem document (RFC 9457) that the service answered with. */
export class ProblemError extends Error {
  /**
   * @param {{title?: string, detail?: string, type?: string, status?: number}} problem
   * @param {number} status
   * @param {number} [retryAfterS] when the service wants to be asked again
   */
  constructor(problem, status, retryAfterS = 0) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.problem = problem;
    this.status = status;
    this.code = (problem.type || "").replace("/problems/", "");
    this.retryAfterS = retryAfterS;
  }
}

/** The service could not be reached at all, or the connection broke. */
export class UnreachableError extends Error {}

/** Whether the same request may well be answered later. */
export function isPassing(error) {
  return error instanceof UnreachableError
    || (error instanceof ProblemError && (error.status === 429 || error.status >= 500));
}

/** An error of `fetch`, or of reading what it answered, as what it means. */
export function brokenOff(error, signal) {
  if (signal?.aborted) return signal.reason;
  return error.name === "AbortError" ? error : new UnreachableError(error.message);
}
