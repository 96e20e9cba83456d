"""Where numba keeps what it compiles, so that the next process need not compile again.

Conventions: numba writes beside the code, into its `__pycache__`, or else into the caches of the user's home.
A folder named before numba is imported, by the environment or by `keep_elsewhere`, comes before both. Where
none of them can be written to, as for a service account without a home and code that is another's, every
process compiles for itself: that takes seconds, and no more.

What is kept is known by its source file: options of a compilation belong into the file that they are for, or
results of other options would be taken from what is kept.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "NUMBA_CACHE_DIR"
_BESIDE_CODE = Path(__file__).resolve().parent / "__pycache__"


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile functions with numba when they are first called, and keep the results if there is a place.

    Parameters
    ----------
    **options
        Of ``numba.njit``, without ``cache``.

    Returns
    -------
    callable
        A decorator.
    """
    import numba  # here, since a folder has to be named before

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:  # what numba raises where it has no folder to write to
            log.debug("compiled anew by each process", extra={"error": str(error)})
            return numba.njit(**options)(function)

    return decorate


def keep_elsewhere(folder: Path) -> None:
    """Let results be kept in a folder if they cannot be kept beside the code.

    Parameters
    ----------
    folder : Path
        Has no effect once numba is imported. Made when something is kept. One that the
        environment names already comes before it.
    """
    if not _can_be_written_to(_BESIDE_CODE):
        os.environ.setdefault(FOLDER_VARIABLE, str(folder.absolute()))


def _can_be_written_to(folder: Path) -> bool:
    """Found out as numba does: by a file."""
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
