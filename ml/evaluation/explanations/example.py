"""One figure: a mixture, an instrument's map of it and that instrument's true mask, side by side.

The map is chosen by a rule, not by its looks: of the protocol's maps whose instrument is found, the one with
the median skill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ml.colours import TRUTH
from ml.drawing import TICKS_HZ
from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.examining import ScoredClip
from ml.evaluation.explanations.material import ExplainedSet
from ml.evaluation.explanations.scene import HeardScene, Scene
from ml.evaluation.figures import MEDIUM, SMALL, blank_figure, png_of
from ml.evaluation.listening import loaded
from ml.explained import Spectrogram
from ml.pictures import Canvas, LogFrequencyGrid, saturation
from ml.truth.scores import MapScores

_ROWS, _COLUMNS = 320, 400  # of each panel, about as many as it has pixels


@dataclass(frozen=True)
class Example:
    """The map that is shown: the clip's place in its set, its instrument, those that play, its scores."""

    place: int
    clip_id: str
    instrument: str
    stems: tuple[str, ...]
    scores: MapScores
    n_maps: int

    @property
    def others(self) -> tuple[str, ...]:
        """What plays beside it."""
        return tuple(name for name in self.stems if name != self.instrument)


def named(names: Sequence[str]) -> str:
    """Names as in a sentence."""
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)


def choose_example(protocol: ExplainedSet, clips: Sequence[ScoredClip]) -> Example | None:
    """The map with the median skill (of two, the lower), among those whose instrument is found.

    Parameters
    ----------
    protocol : ExplainedSet
    clips : sequence of ScoredClip
        The chosen method's, in the order of the set's clips.

    Returns
    -------
    Example or None
        None when nothing is found.
    """
    candidates = [
        (scored.scores.skill, place, scored)
        for place, clip in enumerate(clips)
        for scored in clip.maps
        if scored.found and scored.scores.skill is not None
    ]
    if not candidates:
        return None
    candidates.sort(key=lambda candidate: candidate[:2])
    _, place, median = candidates[(len(candidates) - 1) // 2]
    return Example(
        place,
        protocol.clips[place].clip_id,
        median.instrument,
        clips[place].stems,
        median.scores,
        len(candidates),
    )


def draw_example(
    model_folder: Path, device: str, chosen: Contender, protocol: ExplainedSet, example: Example
) -> bytes:
    """Make the example's map once more and draw it.

    Parameters
    ----------
    model_folder : Path
    device : {"auto", "cpu", "cuda"}
    chosen : Contender
        A method.
    protocol : ExplainedSet
    example : Example

    Returns
    -------
    bytes
        PNG.
    """
    model = loaded(model_folder, device)
    scene = HeardScene.of(model, Scene.of(protocol.clips[example.place]))
    label = model.card.labels.index(example.instrument)
    relevance = scene.merged(chosen.maker()(model, scene.inputs, [label])[0])
    levels = scene.heard.levels_db
    share = scene.truth.true_mask(example.instrument, soft=True).astype(np.float32)
    spectrogram = Spectrogram(levels, model.mel.frequencies_hz, model.mel.times_s(levels.shape[1]))
    canvas = Canvas.of(spectrogram, _ROWS, _COLUMNS)
    shown = {
        "the mixture": canvas.levels(),
        f"map of the {example.instrument}": canvas.over_levels(relevance, saturation(relevance)),
        f"truth: what is the {example.instrument}'s": canvas.over_levels(share, 1.0, TRUTH),
    }
    figure = blank_figure(13.0, 4.1)
    panels = figure.subplots(1, len(shown), sharey=True)
    end_s = float(spectrogram.times_s[-1])
    for axes, (title, picture) in zip(panels, shown.items(), strict=True):
        axes.imshow(picture[::-1], origin="lower", aspect="auto", extent=(0.0, end_s, 0.0, 1.0))
        axes.set_title(title, fontsize=SMALL + 1)
        axes.set_xlabel("time (s)", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        _frequency_ticks(axes, canvas.grid)
    panels[0].set_ylabel("frequency (Hz)", fontsize=SMALL)
    figure.suptitle(f"{example.instrument} beside {named(example.others)}", fontsize=MEDIUM)
    return png_of(figure, all_colours=True)


def _frequency_ticks(axes: Axes, grid: LogFrequencyGrid) -> None:
    ticks_hz = [hz for hz in TICKS_HZ if grid.lowest_hz <= hz <= grid.highest_hz]
    axes.set_yticks([grid.position(hz) for hz in ticks_hz], [f"{hz:,}" for hz in ticks_hz])
