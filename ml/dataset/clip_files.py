"""A rendered clip as files that others can read: FLAC, MIDI and JSON, named for WebDataset.

`<id>.flac` is the mix, `<id>.mid` the notes, `<id>.json` the clip plan with the gain that mixing applied.
With stems there are also `<id>.<k>.flac` in the plan's order and, where effects left something that is no
instrument's, `<id>.residual.flac`: together they sum to the mix, to 16-bit rounding.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from ml.synthesis.midi_file import clip_midi
from ml.synthesis.mix import RenderedClip
from ml.synthesis.render import SAMPLE_RATE_HZ

FULL_SCALE = 32_768
FLAC_COMPRESSION = 0.5  # of 0..1; the strongest takes twice as long and saves one percent


def clip_members(clip: RenderedClip, line: str, *, stems: bool) -> dict[str, bytes]:
    """A clip's files, by name.

    Parameters
    ----------
    clip : RenderedClip
    line : str
        Its plan, as JSON.
    stems : bool
        Whether its stems are among them.

    Returns
    -------
    dict of str to bytes
        Equal clips give equal bytes.
    """
    clip_id = clip.plan.clip_id
    members = {f"{clip_id}.flac": _flac(clip.mix), f"{clip_id}.mid": clip_midi(clip.plan)}
    if stems:
        members |= {f"{clip_id}.{place}.flac": _flac(stem) for place, stem in enumerate(clip.stems)}
        if clip.residual is not None:
            members[f"{clip_id}.residual.flac"] = _flac(clip.residual)
    # the plan's line is an object already: adding to its text spares taking it apart again
    members[f"{clip_id}.json"] = (
        f'{line.removesuffix("}")},"common_gain_db":{clip.common_gain_db!r}}}'.encode()
    )
    return members


def _flac(samples: NDArray[np.float32]) -> bytes:
    # libsndfile converts floats more slowly
    steps = np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        steps,
        SAMPLE_RATE_HZ,
        format="FLAC",
        subtype="PCM_16",
        compression_level=FLAC_COMPRESSION,
    )
    return buffer.getvalue()
