"""How many may follow jobs at a time: in all, and with one API key.

Conventions: a stream lasts as long as its job, so who opens many would leave no connections for others.
Callers without a key are not told apart; for them only the bound of all holds.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from worker.request_errors import TooManyOwnStreamsError, TooManyStreamsError


class Streams:
    """The places that there are."""

    def __init__(self, most: int, most_per_key: int) -> None:
        self._most = most
        self._most_per_key = most_per_key
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, owner: str) -> Iterator[None]:
        """A place for a stream of this key's owner, empty without a key, while the context lasts.

        Raises
        ------
        TooManyOwnStreamsError
            When the key has as many as one may have.
        TooManyStreamsError
            When all are taken.
        """
        if owner and self._open[owner] >= self._most_per_key:
            raise TooManyOwnStreamsError(
                f"This API key follows {self._open[owner]} jobs already, the most that one may."
            )
        if self._open.total() >= self._most:
            raise TooManyStreamsError(f"{self._most} jobs are being followed already; try again in a moment.")
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
