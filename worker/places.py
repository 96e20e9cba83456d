"""Places: where data sets may be written to and read from, as the operator allows.

Conventions: a place is an absolute URL or path strictly below one of the roots, in plain segments (letters,
digits, `.`, `-`, `_`, none beginning with a dot), so that no way leads back up. On a local file system no
link may lead out of the root either; the machine that reads or writes has to check that again, for its links
are its own. Faults name the request's field.
"""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ml.errors import InvalidRequestError

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
LOCAL = "file://"
LONGEST_URL = 1_000


def normal_root(root: str) -> str:
    """A root as places are compared with it: `scheme://...` without a slash at its end, local ones by path.

    Raises
    ------
    ValueError
        When it is neither an absolute path nor a URL, or names a password.
    """
    text = root.removeprefix(LOCAL)
    if text.startswith("/"):
        return str(PurePosixPath(text))
    if not _SCHEME.match(text):
        raise ValueError(f"{root!r} is neither an absolute path nor a URL")
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"the root at {parts.hostname!r} must not hold credentials or parameters")
    return text.rstrip("/")


def place_below(roots: tuple[str, ...], url: str, *, field: str) -> str:
    """The place that a request names, in its normal form.

    Raises
    ------
    InvalidRequestError
        When it is not below any root; it names the field.
    """
    text = url.removeprefix(LOCAL)
    for root in roots:
        if len(url) <= LONGEST_URL and text.startswith(f"{root}/"):
            segments = text[len(root) + 1 :].rstrip("/").split("/")
            if not all(_SEGMENT.fullmatch(segment) for segment in segments):
                raise _refused(
                    field, url, "its path may hold letters, digits, '.', '-' and '_', no dot first"
                )
            place = "/".join((root, *segments))
            require_inside(root, place, field=field)
            return place
    raise _refused(field, url, f"it has to lie below one of {', '.join(roots)}")


def require_inside(root: str, place: str, *, field: str) -> None:
    """Refuses a local place that a link leads out of its root; others it lets pass."""
    if not place.startswith("/"):
        return
    real_root, real_place = Path(root).resolve(), Path(place).resolve()
    if not real_place.is_relative_to(real_root):
        raise _refused(field, place, "a link leads out of the folder that is allowed")


def _refused(field: str, url: str, reason: str) -> InvalidRequestError:
    shown = url if len(url) <= 200 else f"{url[:200]}..."
    return InvalidRequestError(
        f"{field}: {shown!r} is not allowed: {reason}.",
        extra={"errors": [{"field": field, "message": f"Not allowed: {reason}"}]},
    )
