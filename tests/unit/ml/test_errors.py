"""Every error carries its sentence, its slug and its members, and survives the way between processes."""

import pickle

import pytest

from ml.errors import (
    FieldFault,
    InvalidRequestError,
    RangeRequiredError,
    SystemDependencyError,
    TimbrescopeError,
    UnknownInstrumentError,
    UnknownModelError,
    named,
    within,
)

CODES = {
    TimbrescopeError: "error",
    InvalidRequestError: "invalid-request",
    UnknownInstrumentError: "unknown-instrument",
    UnknownModelError: "unknown-model",
    RangeRequiredError: "range-required",
    SystemDependencyError: "missing-dependency",
}


@pytest.mark.parametrize(("error", "code"), CODES.items())
def test_code_is_stable(error: type[TimbrescopeError], code: str) -> None:
    assert error.code == code
    assert issubclass(error, TimbrescopeError)


def test_message_is_the_string() -> None:
    assert str(InvalidRequestError("Threshold 2.0 is outside 0-1.")) == "Threshold 2.0 is outside 0-1."


def test_extra_is_empty_by_default_and_not_shared() -> None:
    first, second = TimbrescopeError("one"), TimbrescopeError("two")
    first.extra["seen"] = True
    assert second.extra == {}


def test_extra_is_a_copy() -> None:
    members: dict[str, object] = {"unknown": ["Kazoo"], "available": ["Violin"]}
    error = UnknownInstrumentError("There is no instrument Kazoo.", extra=members)
    members.clear()
    assert error.extra == {"unknown": ["Kazoo"], "available": ["Violin"]}


@pytest.mark.parametrize("error", CODES)
def test_survives_pickling(error: type[TimbrescopeError]) -> None:
    before = error("A sentence.", extra={"available": ["default"]})
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is error
    assert (str(after), after.extra) == ("A sentence.", {"available": ["default"]})


def test_fields_are_named_within_what_holds_them() -> None:
    faults = [FieldFault("melody.works", "unknown"), FieldFault("recipe", "empty")]
    with pytest.raises(InvalidRequestError) as caught, within("recipe"):
        raise InvalidRequestError(str(faults[0]), extra={**named(faults), "available": ["bach"]})
    assert str(caught.value) == "melody.works: unknown"
    assert caught.value.extra == {
        "errors": [
            {"field": "recipe.melody.works", "message": "unknown"},
            {"field": "recipe", "message": "empty"},
        ],
        "available": ["bach"],
    }
    with pytest.raises(UnknownModelError) as untouched, within("recipe"):
        raise UnknownModelError("x", extra={"errors": "none listed"})
    assert untouched.value.extra == {"errors": "none listed"}
