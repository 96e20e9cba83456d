"""PNG and NPZ files: other readers find in them what was put in."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ml.explained import Spectrogram
from ml.npz import MapFiles
from ml.png import png

N_MELS, N_FRAMES = 16, 40


def spectrogram() -> Spectrogram:
    draw = np.random.default_rng(1)
    levels = draw.normal(size=(N_MELS, N_FRAMES)).astype(np.float32)
    hz = np.geomspace(50.0, 8_000.0, N_MELS).astype(np.float32)
    return Spectrogram(levels, hz, np.arange(N_FRAMES, dtype=np.float32) / 86.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (43, 5), (44, 880), (45, 3), (440, 90)])
@pytest.mark.parametrize(("n_channels", "mode"), [(3, "RGB"), (1, "L")])
def test_pixels_come_back(size: tuple[int, int], n_channels: int, mode: str) -> None:
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (*size, n_channels), dtype=np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        assert (image.format, image.mode, image.info["Software"]) == ("PNG", mode, "Timbrescope")
        image.load()  # checksums too
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    assert png(pixels) == png(pixels)


def test_a_checksum_that_does_not_fit_is_noticed() -> None:
    data = bytearray(png(np.zeros((5, 5, 3), dtype=np.uint8)))
    data[data.index(b"IDAT") - 6] ^= 1  # in the chunk before, of the program's name
    with pytest.raises((SyntaxError, OSError)), Image.open(io.BytesIO(bytes(data))) as image:
        image.load()


def test_pixels_may_lie_in_any_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert png(pixels[::-1]) == png(np.ascontiguousarray(pixels[::-1]))
    assert png(pixels[:, ::2]) == png(np.ascontiguousarray(pixels[:, ::2]))


@pytest.mark.parametrize("kind", ["noise", "zeros", "reversed", "transposed"])
def test_numpy_reads_maps_with_their_axes(kind: str) -> None:
    shown = spectrogram()
    cells = {
        "noise": shown.level_db,
        "zeros": np.zeros_like(shown.level_db),
        "reversed": shown.level_db[::-1],
        "transposed": np.ascontiguousarray(shown.level_db.T).T,
    }[kind]
    data = MapFiles(shown).npz("relevance", cells)
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert arrays.files == ["relevance", "frequencies_hz", "times_s"]
        assert all(arrays[name].dtype == np.float32 for name in arrays.files)
        np.testing.assert_array_equal(arrays["relevance"], cells)
        np.testing.assert_array_equal(arrays["frequencies_hz"], shown.frequencies_hz)
        np.testing.assert_array_equal(arrays["times_s"], shown.times_s)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_archive_says_what_numpys_own_says() -> None:
    """Names, sizes, checksums and dates; where packed bytes lie depends on how well they were packed."""
    shown = spectrogram()
    theirs = io.BytesIO()
    axes = {"frequencies_hz": shown.frequencies_hz, "times_s": shown.times_s}
    np.savez_compressed(theirs, relevance=shown.level_db, **axes)  # type: ignore[arg-type]
    ours = io.BytesIO(MapFiles(shown).npz("relevance", shown.level_db))
    with zipfile.ZipFile(ours) as mine, zipfile.ZipFile(theirs) as numpys:
        for member, other in zip(mine.infolist(), numpys.infolist(), strict=True):
            for said in ("filename", "file_size", "CRC", "date_time", "compress_type"):
                assert getattr(member, said) == getattr(other, said)
