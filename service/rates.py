"""Rates of API keys on the calls that make jobs, and what answers say of them.

Conventions: a call costs as many jobs as it may make, also when it is refused afterwards or answered with a
job that there is already. Who sends no key has no rate. Answers to keys with a rate carry `RateLimit-Policy`
and `RateLimit` (draft-ietf-httpapi-ratelimit-headers); `Retry-After` of a refusal is exact.
"""

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from service.access import caller_of, found_caller
from service.services import Provided, Services
from worker.api_keys import Scope
from worker.errors import RateLimitedError
from worker.figures import Figures
from worker.rates import MINUTE_US, Allowance

_POLICY = "jobs"
_WINDOW_S = MINUTE_US // 1_000_000


def charge(request: Request, services: Services, n_jobs: int) -> None:
    """Counts jobs that a request asks for; with 0 only looks whether one could be asked for.

    Blocking, for the thread pool.

    Raises
    ------
    RateLimitedError
        When the caller has asked for too many already; nothing is counted then.
    """
    caller = caller_of(request, services)
    if caller.per_minute is None:
        return
    allowance = services.rates.take(caller.owner, caller.per_minute, n_jobs)
    request.state.allowance = allowance
    if not allowance.granted:
        Figures(services.redis).count("rate_limited")
        raise RateLimitedError(
            f"This API key may ask for {allowance.per_minute} jobs in a minute; "
            f"try again in {allowance.wait_s} s.",
            extra={"per_minute": allowance.per_minute, "retry_after_s": allowance.wait_s},
        )


async def require_leave_to_send(request: Request, services: Services) -> None:
    """Refuses, before its body is read, a request for inference that would be refused for who sends it.

    Raises
    ------
    UnauthorizedError, ForbiddenError, RateLimitedError
    """
    caller = (await found_caller(request, services)).require(Scope.INFER)
    if caller.per_minute is not None:
        await run_in_threadpool(charge, request, services, 0)


async def _charge_one(request: Request, services: Provided) -> None:
    if (await found_caller(request, services)).per_minute is not None:
        await run_in_threadpool(charge, request, services, 1)


ONE_JOB = Depends(_charge_one)


class RateHeaders:
    """Middleware that tells callers how much of their rate is left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Passes the request on and adds to its answer what was found out on the way."""

        async def send_with_rate(message: Message) -> None:
            allowance: Allowance | None = scope.get("state", {}).get("allowance")
            if message["type"] == "http.response.start" and allowance is not None:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = f'"{_POLICY}";q={allowance.per_minute};w={_WINDOW_S}'
                headers["RateLimit"] = f'"{_POLICY}";r={allowance.left};t={allowance.wait_s}'
            await send(message)

        await self._app(scope, receive, send_with_rate)
