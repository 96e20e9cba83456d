"""Storage: a place for the files of a data set or a model, a local folder or anything that fsspec reaches.

Conventions: names are relative, with `/` between parts, and never lead out of the place. A file is written
whole or not at all: locally by renaming, elsewhere by the store itself, which shows an object only when all
of it is there. Whatever goes wrong is a `StorageError`, or a `StorageUnavailableError` where something cannot
be read or reached; it names the file and the reason, and never a password or key that a URL contained.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ml.dataset.local_storage import LocalStorage
from ml.dataset.remote_storage import RemoteStorage, shown
from ml.dataset.storage_base import Storage
from ml.errors import InvalidRequestError

__all__ = ["LocalStorage", "RemoteStorage", "Storage", "open_storage", "shown"]


def open_storage(url: str | Path | Storage) -> Storage:
    """Open a place for files; nothing is made or read yet.

    Parameters
    ----------
    url : str, Path or Storage
        A folder, as a path or a `file://` URL, or a URL that fsspec knows, such as ``s3://bucket/folder`` or
        ``memory://name``. Credentials for stores come from the environment.

    Returns
    -------
    Storage

    Raises
    ------
    InvalidRequestError
        When the URL is of no known kind.
    SystemDependencyError
        When the package that reaches this kind of store is not installed.
    """
    if isinstance(url, Storage):
        return url
    if isinstance(url, Path) or "://" not in url:
        if not str(url):
            raise InvalidRequestError("A place for files cannot have an empty name.")
        return LocalStorage(Path(url))
    if urlsplit(url).scheme == "file":
        if urlsplit(url).netloc not in ("", "localhost"):
            raise InvalidRequestError(f"{shown(url)} names another host; a file:// URL has three slashes.")
        return LocalStorage(Path(unquote(urlsplit(url).path)))
    return RemoteStorage(url)
