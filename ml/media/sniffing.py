"""Tells what a file is from its first bytes, never from its name.

Conventions: the answer is one of `FORMATS`. What is recognised and not read is refused by its name, so that
a person knows what to convert.
"""

from ml.media.errors import EmptyFileError, UnknownFormatError, UnsupportedFormatError
from ml.media.mp3_frames import begins_with_frames
from ml.media.tags import skip_tags

FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "midi")
ACCEPTED = "WAV (PCM or float), FLAC, OGG (Vorbis or Opus), MP3, AIFF or a Standard MIDI File"
# (offset, bytes there, name): containers that are recognised in order to be refused.
REFUSED = (
    (0, b"RF64", "RF64"),
    (0, b"BW64", "BW64"),
    (0, b"RIFX", "big-endian WAV (RIFX)"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b".snd", "Sun AU"),
    (0, b"caff", "Apple CAF"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"Creative Voice File", "Creative VOC"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (4, b"ftyp", "MPEG-4"),
)
RIFF_NAMES = {
    b"RMID": "RIFF MIDI (RMID); send the Standard MIDI File in it",
    b"AVI ": "AVI",
    b"sfbk": "SoundFont",
}
SHOWN_BYTES = 8


def sniff_format(data: bytes) -> str:
    """Return which of `FORMATS` the bytes are.

    Raises
    ------
    EmptyFileError
        There are no bytes.
    UnsupportedFormatError
        They are of a kind that is known and not read.
    UnknownFormatError
        They are of no kind that is known.
    """
    if not data:
        raise EmptyFileError("The file is empty: it has 0 bytes.")
    if data.startswith(b"RIFF"):
        if data[8:12] == b"WAVE":
            return "wav"
        name = RIFF_NAMES.get(data[8:12], "RIFF without WAVE")
        raise UnsupportedFormatError(f"{name} is not read; send {ACCEPTED}.", extra={"format": name})
    if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if data.startswith(b"OggS"):
        return "ogg"
    if data.startswith(b"MThd"):
        return "midi"
    sound_start = skip_tags(data, 0)
    if data.startswith(b"fLaC", sound_start):
        return "flac"
    if begins_with_frames(data, sound_start):
        return "mp3"
    for offset, magic, name in REFUSED:
        if data.startswith(magic, offset):
            raise UnsupportedFormatError(f"{name} is not read; send {ACCEPTED}.", extra={"format": name})
    raise UnknownFormatError(
        f"The file begins with {data[:SHOWN_BYTES]!r} and is no known kind of recording; send {ACCEPTED}."
    )
