"""What a file is, by its bytes alone."""

import pytest

from ml.media import (
    EmptyFileError,
    UnknownFormatError,
    UnsupportedFormatError,
    decode_audio,
    inspect_media,
    sniff_format,
)
from tests.unit.ml.media.files import RATE_HZ, aiff, chunk, encode, midi, riff, tone, vbr_mp3, wav

SAMPLES = tone()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wav(SAMPLES), "wav"),
        (aiff(SAMPLES), "aiff"),
        (aiff(SAMPLES, compression=b"NONE"), "aiff"),
        (encode(SAMPLES, file_format="FLAC"), "flac"),
        (b"ID3\x03\0\0\0\0\0\x01\0" + encode(SAMPLES, file_format="FLAC"), "flac"),
        (encode(SAMPLES, file_format="OGG", subtype="VORBIS"), "ogg"),
        (encode(SAMPLES, file_format="OGG", subtype="OPUS"), "ogg"),
        (vbr_mp3(SAMPLES), "mp3"),
        (b"ID3\x03\0\0\0\0\0\x01\0" + vbr_mp3(SAMPLES), "mp3"),
        (midi(b"\0\x90\x3c\x40"), "midi"),
    ],
)
def test_what_is_read_is_recognised(data: bytes, expected: str) -> None:
    assert sniff_format(data) == expected


@pytest.mark.parametrize("check", [sniff_format, inspect_media, lambda data: decode_audio(data, RATE_HZ)])
def test_an_empty_file(check: "type[bytes]") -> None:
    with pytest.raises(EmptyFileError, match="0 bytes"):
        check(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"This is a text, whatever its name says.\n",
        "Also in another coding".encode("utf-16"),
        b"\0",
        bytes(1000),
        b"R",
        b"\xff\xfb",
        b"ID3\x04\0\0\0\0\0\x00",
        b"ID3",
        b"FORM\0\0\0\x048SVX",
        b"FORM",
    ],
)
def test_an_unknown_file_shows_how_it_begins(data: bytes) -> None:
    with pytest.raises(UnknownFormatError) as caught:
        inspect_media(data)
    assert repr(data[:8]) in str(caught.value)
    assert "send WAV" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"RF64\xff\xff\xff\xffWAVE", "RF64"),
        (b"RIFX\0\0\0\x04WAVE", "RIFX"),
        (riff(chunk(b"data", midi(b"\0\x90\x3c\x40")), kind=b"RMID"), "RMID"),
        (riff(kind=b"AVI "), "AVI"),
        (riff(kind=b"sfbk"), "SoundFont"),
        (b"RIFF", "RIFF without WAVE"),
        (b"\0\0\0\x20ftypM4A ", "MPEG-4"),
        (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
        (b"\xff\xf1\x50\x80", "AAC"),
        (b".snd\0\0\0\x18", "Sun AU"),
        (b"PK\x03\x04", "ZIP"),
        (encode(SAMPLES, file_format="CAF"), "Apple CAF"),
        (encode(SAMPLES, file_format="W64"), "Wave64"),
        (encode(SAMPLES, file_format="VOC"), "Creative VOC"),
    ],
)
def test_what_is_recognised_and_not_read_is_named(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=name):
        inspect_media(data)


def test_midi_is_not_decoded() -> None:
    with pytest.raises(UnsupportedFormatError, match="rendered, not decoded"):
        decode_audio(midi(b"\0\x90\x3c\x40"), RATE_HZ)
