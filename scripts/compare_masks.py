"""Compare ways of making masks: `python scripts/compare_masks.py [MODEL FOLDER] [--clips N]`.

Two instruments play at once, by the study's protocol and with a seed of its own; each is explained once, and
its evidence is made audible with each setting of `SETTINGS`. What is good keeps the instrument, removes it,
and leaves the other one where it was: not in what was kept, still in what was removed. Energy kept and maps
needed stand beside it, since a mask that keeps everything keeps and removes any label. Run it when the
shipped model or the default method changes, and set `ml.masks.MaskSettings` by what it says.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audible import HEARD_FROM, make_audible
from ml.checkpoint import SHIPPED_MODELS
from ml.classification import classify, listen
from ml.masks import DEFAULT_MASK, MaskSettings
from ml.model import Model, load_model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.synthesis.instantiate import instantiate
from ml.synthesis.mix import render_clip
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, find_bank

SEED = 77_002
SETTINGS: dict[str, MaskSettings] = {
    "as shipped": DEFAULT_MASK,
    "one map": replace(DEFAULT_MASK, most_maps=1),
    "two maps": replace(DEFAULT_MASK, most_maps=2),
    "keeps 0.90": replace(DEFAULT_MASK, kept_share=0.9),
    "keeps 0.98": replace(DEFAULT_MASK, kept_share=0.98),
    "gentle": replace(DEFAULT_MASK, sharpness=1.0),
    "sharp": replace(DEFAULT_MASK, sharpness=4.0),
    "levelled slowly": replace(DEFAULT_MASK, levelling_frames=40.0),
    "hardly levelled": replace(DEFAULT_MASK, levelling_floor=1.0),
}
COLUMNS = ("kept", "removed", "other in kept", "other in removed", "energy kept", "maps")


@dataclass(frozen=True)
class Explained:
    """A clip of two instruments and a map of each, `(2, n_mels, n_frames)`."""

    recording: Recording
    instruments: tuple[str, str]
    maps: NDArray[np.floating]


def explained_clips(model: Model, n_clips: int) -> Iterator[Explained]:
    """Render and explain clips, one window long each."""
    banks = {DEFAULT_SOUNDFONT: find_bank(DEFAULT_SOUNDFONT)}
    recipe = Recipe(name="masks", seed=SEED, n_clips=n_clips, instruments_per_clip=(2,))
    for plan in instantiate(recipe):
        recording = Recording(render_clip(plan, banks).mix, SAMPLE_RATE_HZ)
        first, second = (stem.instrument for stem in plan.stems)
        targets = [Target(model.card.labels.index(name)) for name in (first, second)]
        evidence = explain_targets(model, listen(model, recording).inputs, targets)
        yield Explained(recording, (first, second), np.stack([one.maps[0] for one in evidence]))


def measured(model: Model, clip: Explained, place: int, settings: MaskSettings) -> tuple[float, ...]:
    """One row of `COLUMNS` for one instrument of a clip."""
    instrument, other = clip.instruments[place], clip.instruments[1 - place]
    evidence = make_audible(
        model, clip.recording, clip.maps[place], instrument, others=[clip.maps[1 - place]], settings=settings
    )
    heard = [
        {score.instrument: score.probability for score in classify(model, part).instruments}[other]
        for part in (evidence.kept, evidence.removed)
    ]
    return (
        evidence.keeps_label,
        evidence.loses_label,
        heard[0] >= HEARD_FROM,
        heard[1] >= HEARD_FROM,
        evidence.kept_energy_share,
        evidence.n_maps,
    )


def main() -> None:
    """Print a table, one line for each setting: means over the instruments of all clips."""
    parser = argparse.ArgumentParser(description="Compare ways of making masks.")
    parser.add_argument("model", nargs="?", type=Path, default=SHIPPED_MODELS / "default")
    parser.add_argument("--clips", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(asked.model)
    clips = list(explained_clips(model, asked.clips))
    print(f"{'':18}" + "".join(f"{column:>18}" for column in COLUMNS))
    for name, settings in SETTINGS.items():
        rows = [measured(model, clip, place, settings) for clip in clips for place in (0, 1)]
        means = np.mean(np.array(rows, dtype=np.float64), axis=0)
        print(f"{name:18}" + "".join(f"{value:18.2f}" for value in means), flush=True)


if __name__ == "__main__":
    main()
