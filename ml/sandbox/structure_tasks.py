"""What a child can say of a recording without decoding it. Imported by the fork server alone."""

from dataclasses import asdict
from typing import Any

from ml.media import MediaLimits, inspect_media, parse_midi
from ml.sandbox.child import Answer, Task


def inspect(arguments: dict[str, Any], data: bytes, _answer: Answer) -> dict[str, object]:
    """`ml.media.inspect_media`."""
    return asdict(inspect_media(data, MediaLimits(**arguments["limits"])))


def sounds_between(arguments: dict[str, Any], data: bytes, _answer: Answer) -> dict[str, object]:
    """Whether a note of a MIDI file sounds between two times."""
    score = parse_midi(data, MediaLimits(**arguments["limits"]))
    return {"sounds": score.sounds_between(arguments["start_s"], arguments["end_s"])}


TASKS: dict[str, Task] = {"inspect": inspect, "sounds_between": sounds_between}
