"""What schemathesis sends: recordings of its own making, and what no description can say.

Conventions: schemathesis reads this module as its hooks, in a process of its own. Forms get real recordings,
or broken ones, and of names that only the running service knows (models, layers, instruments) those that it
has. A form is wrong when a field is wrong by the description, or else when its file is broken: never both, so
that neither hides the other. The choice hangs on what was drawn, so that a case is the same when it is tried
again.
"""

import os
import zlib
from typing import Any

import schemathesis
from jsonschema_rs import Draft202012Validator
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import ComponentInfo
from schemathesis.transport.serialization import Binary

from tests.integration.sounds import (
    audio_file,
    midi_file,
    silent_flac,
    tone,
    wav_header,
)
from tests.reliability.schema_runs import PLACE_VARIABLE, WEBHOOK_HOST

MODEL = "default"
LAYERS = ("features.conv4", "features.conv5")
BANK = "FluidR3_GM"
WEBHOOK = f"https://{WEBHOOK_HOST}/timbrescope"
INSTRUMENTS = ("Violin", "Trumpet", "Celesta")
EVERY_NTH_IS_BROKEN = 5
EVERY_NTH_TAKES_ITS_TIME = 4
"""So often a request waits for its job, or wants it computed anew, where that was drawn."""

MOST_CLIPS, MOST_CONCEPTS = 4, 3
"""What is asked for could be a million clips; that so many can be made is not what is tested."""

_FORM = "multipart/form-data"
_ASKS_A_MODEL = "GET /instruments"
_A_FILE = "content"
_KEY = "Idempotency-Key"
_SLOW = ("Prefer", "Cache-Control")
_LONG_WAIT, _SHORT_WAIT = "wait=30", "wait=2"
_SHORT_S = 0.4
_MP3 = b"\xff"  # of its kind, the beginning of a frame may hold nearly anything
_WAVE = tone(_SHORT_S)

RECORDINGS = (
    audio_file(_WAVE),
    audio_file(_WAVE, subtype="FLOAT"),
    audio_file(_WAVE, subtype="PCM_24"),
    audio_file(_WAVE, kind="FLAC"),
    audio_file(_WAVE, kind="OGG", subtype="VORBIS"),
    audio_file(_WAVE, kind="MP3", subtype="MPEG_LAYER_III"),
    audio_file(_WAVE, kind="AIFF"),
    midi_file((60,), length=240),
    midi_file((60, 67), program=56, length=120),
)
STEMS = tuple(audio_file(tone(_SHORT_S, frequency_hz=hz), kind="FLAC") for hz in (220.0, 440.0, 660.0))


def _broken() -> tuple[bytes, ...]:
    """Files that are wrong in one way each, and are refused before they are decoded."""
    return (
        b"",
        b"not a recording",
        *(
            data[:8] + bytes(255 - byte for byte in data[8:40]) + data[40:]
            for data in RECORDINGS
            if not data.startswith(_MP3)
        ),
        wav_header(rate_hz=1),
        wav_header(channels=1024),
        wav_header(coding=17, bits=4),
        silent_flac(3600.0),
    )


BROKEN = _broken()

_forms: dict[str, Draft202012Validator] = {}
_fields: dict[str, dict[str, Any]] = {}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Keeps the schema of every form at hand."""
    for path, methods in raw_schema["paths"].items():
        for method, operation in methods.items():
            form = operation.get("requestBody", {}).get("content", {}).get(_FORM)
            if form is not None:
                name = form["schema"]["$ref"].rpartition("/")[2]
                schema = {**raw_schema["components"]["schemas"][name], "components": raw_schema["components"]}
                call = f"{method.upper()} {path}"
                _forms[call], _fields[call] = Draft202012Validator(schema), schema["properties"]


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """The last word on what is sent."""
    call = case.operation.label
    if call == _ASKS_A_MODEL and isinstance(case.query.get("model"), str):
        case.query["model"] = MODEL
    if not isinstance(case.body, dict):
        return
    drawn = zlib.crc32(repr((call, sorted(case.body.items(), key=repr))).encode())
    is_meant_right = case.meta is None or case.meta.generation.mode.is_positive
    if is_meant_right and _KEY in case.headers:  # another request needs another key
        case.headers[_KEY] = f"{os.getpid()}-{drawn:08x}"
    if drawn % EVERY_NTH_TAKES_ITS_TIME:
        for header in _SLOW:
            case.headers.pop(header, None)
    elif case.headers.get("Prefer") == _LONG_WAIT:
        case.headers["Prefer"] = _SHORT_WAIT
    if case.media_type == _FORM:
        case.body, is_right = _filled(call, case.body, drawn, is_meant_right=_is_body_meant_right(case))
        _judge(case, is_right)
    else:
        case.body = _bounded(case.body)
        if is_meant_right and "dataset" in case.body:
            case.body["dataset"] = os.environ[PLACE_VARIABLE]


def _is_body_meant_right(case: schemathesis.Case[Any]) -> bool:
    body = None if case.meta is None else case.meta.components.get(ParameterLocation.BODY)
    return body is None or body.mode.is_positive


def _judge(case: schemathesis.Case[Any], is_right: bool) -> None:
    """Says whether a form is right, which schemathesis cannot tell once there are files in it."""
    if case.meta is None:
        return
    modes = {True: schemathesis.GenerationMode.POSITIVE, False: schemathesis.GenerationMode.NEGATIVE}
    case.meta.components[ParameterLocation.BODY] = ComponentInfo(mode=modes[is_right])
    parts = case.meta.components.values()
    case.meta.generation.mode = modes[all(part.mode.is_positive for part in parts)]


def _filled(
    call: str, form: dict[str, Any], drawn: int, *, is_meant_right: bool
) -> tuple[dict[str, Any], bool]:
    """A form with real files, and, if no field is wrong, with names that there are; and whether it is right.

    Files are broken where nothing else can be what is wrong, and now and then instead of right ones.
    """
    is_right = _forms[call].is_valid(_with_files(call, form, [_A_FILE]))
    is_broken = is_right and (not is_meant_right or drawn % EVERY_NTH_IS_BROKEN == 0)
    sounds = BROKEN if is_broken else STEMS if "stem" in form else RECORDINGS
    n_files = 1 + drawn % len(STEMS)
    filled = _with_files(call, form, [Binary(sounds[(drawn + at) % len(sounds)]) for at in range(n_files)])
    return (filled | _names(filled, drawn) if is_right else filled), is_right and not is_broken


def _with_files(call: str, form: dict[str, Any], files: list[Any]) -> dict[str, Any]:
    """The form with these where it has a file, or several; what is neither is left as wrong as it is."""
    filled = dict(form)
    for name in ("file", "stem"):
        if name in _fields[call] and isinstance(form.get(name), list):
            filled[name] = files
        elif name in _fields[call] and isinstance(form.get(name), str):
            filled[name] = files[0]
    return filled


def _names(form: dict[str, Any], drawn: int) -> dict[str, Any]:
    names: dict[str, Any] = {
        "model": MODEL,
        "layer": LAYERS[drawn % len(LAYERS)],
        "contrast": INSTRUMENTS[-1],
        "instruments": list(INSTRUMENTS[: 1 + drawn % 2]),
        "instrument": list(INSTRUMENTS[: len(form.get("stem", ()))]),
        "webhook": WEBHOOK,
        "concepts": drawn % MOST_CONCEPTS,
        "start_s": 0.0,  # no later than the shortest of the recordings begins
    }
    return {field: name for field, name in names.items() if field in form}


def _bounded(order: dict[str, Any]) -> dict[str, Any]:
    """An order of few clips, played by a SoundFont that there is."""
    recipe = order.get("recipe")
    if not isinstance(recipe, dict):
        return dict(order)
    recipe = dict(recipe)
    if isinstance(recipe.get("n_clips"), int):
        recipe["n_clips"] = min(recipe["n_clips"], MOST_CLIPS)
    banks = recipe.get("soundfonts")
    if isinstance(banks, list):
        recipe["soundfonts"] = [_there(bank) for bank in banks]
    elif isinstance(banks, dict):
        del recipe["soundfonts"]
    return {**order, "recipe": recipe}


def _there(bank: Any) -> Any:
    """A SoundFont by the name of one that there is."""
    if isinstance(bank, str):
        return BANK
    is_named = isinstance(bank, dict) and isinstance(bank.get("name"), str)
    return {**bank, "name": BANK} if is_named else bank
