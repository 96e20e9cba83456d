"""Which files of a label's folder are recordings, and how large those may be.

A file is a recording if its name says so or its first bytes do. What is neither (notes, cue sheets, covers,
scores) is passed over; what is called a recording and cannot be read is a fault, so that none goes missing
unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.media import MediaError, MediaLimits, sniff_format

# A person's own recordings may be longer than uploads: concerts, a whole side. The bytes are two hours of
# stereo at 44.1 kHz in 24 bits; memory is some gigabytes for those.
_MAX_DURATION_S = 7_200.0
LIMITS = MediaLimits(
    max_bytes=2_000_000_000, max_duration_s=_MAX_DURATION_S, max_samples=2 * 192_000 * round(_MAX_DURATION_S)
)
READ = {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"}
# Kinds that are not read: those are to be converted, not to be overlooked.
NOT_READ = {".rf64", ".w64", ".au", ".snd", ".caf", ".m4a", ".m4b", ".mp4", ".aac", ".ac3", ".wma", ".webm"}
RARE = {".mka", ".ape", ".wv", ".amr", ".dsf", ".dff"}
RECORDING_ENDINGS = frozenset(READ | NOT_READ | RARE)
_FIRST_BYTES = 65_536  # of files whose names say nothing


@dataclass(frozen=True)
class LabelFiles:
    """The files of one label's folder, by name; hidden ones are not looked at."""

    recordings: tuple[Path, ...]
    others: tuple[Path, ...]


def files_of(folder: Path) -> LabelFiles:
    """Look through a label's folder and those within.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    LabelFiles
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    recordings = tuple(path for path in files if _is_recording(path))
    return LabelFiles(recordings, tuple(path for path in files if path not in frozenset(recordings)))


def _is_recording(path: Path) -> bool:
    if path.suffix.lower() in RECORDING_ENDINGS:
        return True
    try:
        with path.open("rb") as stream:
            return sniff_format(stream.read(_FIRST_BYTES)) != "midi"
    except (MediaError, OSError):
        return False
