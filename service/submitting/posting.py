"""What a POST that makes a job says besides its body: who sends it, under which names, and what would do as
an answer.

Conventions: `Idempotency-Key` follows draft-ietf-httpapi-idempotency-key-header; it may be written as a
quoted string, as there, or without the quotes. Of `Cache-Control` (RFC 9111, 5.2.1) `no-cache`, `no-store`
and `max-age=0` are understood.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from ml.errors import FieldFault, InvalidRequestError, named
from service.access import Asking, Caller, Operating
from service.answering.prefer import LONGEST_WAIT_S
from service.edge.recorder import request_id
from worker import tracing

LONGEST_KEY = 255
_KEY_HEADER = "Idempotency-Key"
_ANEW = frozenset({"no-cache", "no-store", "max-age=0"})
_NO_STORE = "no-store"

Prefer = Annotated[
    str | None,
    Header(
        description=f"`wait=N` waits up to N seconds (at most {LONGEST_WAIT_S}) for the job to end.",
        examples=["wait=30"],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=_KEY_HEADER,
        min_length=1,
        max_length=LONGEST_KEY,
        pattern=r"^[\x21-\x7e]+$",
        description="Makes a retry safe: the same request under the same key makes one job, however often it "
        "is sent. The client chooses it, a UUID for example.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
CacheControl = Annotated[
    str | None,
    Header(
        description="`no-cache` computes anew what was answered before; so does `no-store`, and the answer "
        "is not used for later requests either.",
        examples=["no-cache"],
    ),
]


@dataclass(frozen=True)
class Posting:
    """A POST besides its body. `takes_earlier`: an earlier job's result would do; `is_kept`: this one's may
    answer later requests.
    """

    caller: Caller
    call: str
    request_id: str = ""
    trace: str = ""
    idempotency_key: str | None = None
    prefer: str | None = None
    takes_earlier: bool = True
    is_kept: bool = True

    @property
    def owner(self) -> str:
        """The id of the API key, empty without one."""
        return self.caller.owner


async def _asked(
    request: Request,
    caller: Asking,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
    cache_control: CacheControl = None,
) -> Posting:
    wishes = {wish.strip().lower() for wish in (cache_control or "").split(",")}
    return Posting(
        caller,
        request.url.path,
        request_id(request),
        tracing.current(),
        _key(request, idempotency_key),
        prefer,
        takes_earlier=wishes.isdisjoint(_ANEW),
        is_kept=_NO_STORE not in wishes,
    )


async def _ordered(
    request: Request,
    caller: Operating,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Posting:
    key = _key(request, idempotency_key)
    return Posting(caller, request.url.path, request_id(request), tracing.current(), key, prefer)


def _key(request: Request, sent: str | None) -> str | None:
    """The client's key without the quotes of a structured field."""
    n_sent = len(request.headers.getlist(_KEY_HEADER))
    if n_sent > 1:
        fault = FieldFault(_KEY_HEADER, f"It was sent {n_sent} times; a request has one key")
        raise InvalidRequestError(f"{fault}.", extra=named([fault]))
    is_quoted = sent is not None and len(sent) > 2 and sent[0] == sent[-1] == '"'
    return sent[1:-1] if sent is not None and is_quoted else sent


# A POST that asks for inference; one that orders a data set or a model.
Asked = Annotated[Posting, Depends(_asked)]
Ordered = Annotated[Posting, Depends(_ordered)]
