"""Every fault has a class, a code and a family of its own, and is exported."""

import pickle

import pytest

import ml.media
from ml.errors import TimbrescopeError
from ml.media import InvalidMediaError, MediaError, MediaTooLargeError, UnsupportedMediaError
from ml.media import errors as module

FAMILIES = (UnsupportedMediaError, MediaTooLargeError, InvalidMediaError)
ERRORS = [
    value for value in vars(module).values() if isinstance(value, type) and issubclass(value, MediaError)
]


def test_codes_are_unique_slugs() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes) == 25
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize("error", [error for error in ERRORS if error is not MediaError])
def test_every_fault_belongs_to_one_family(error: type[MediaError]) -> None:
    assert sum(issubclass(error, family) for family in FAMILIES) == 1
    assert "code" in vars(error)


@pytest.mark.parametrize("error", ERRORS)
def test_every_fault_is_exported_and_survives_pickling(error: type[MediaError]) -> None:
    assert getattr(ml.media, error.__name__) is error
    copy = pickle.loads(pickle.dumps(error("Said.", extra={"limit": 1})))
    assert isinstance(copy, TimbrescopeError)
    assert (type(copy), str(copy), copy.extra) == (error, "Said.", {"limit": 1})
