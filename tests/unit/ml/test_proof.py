"""Maps held against stems where much of what sounds belongs to none of them."""

from __future__ import annotations

import numpy as np

from ml.model import Model
from ml.proof import ground_of, truths_of
from ml.recording import Recording
from ml.relevance.target import Target
from ml.truth.stems import mix_samples
from tests.unit.ml.truth.sounds import burst

FAINT = 0.01  # of the loud stem's level


def test_a_map_on_sounds_of_nobody_is_not_true(shipped: Model) -> None:
    """A violin far below an instrument that the model does not know, everywhere beneath it."""
    banjo = burst("Banjo", 0.1, 1.4, 0.2)
    faint = burst("Violin", 0.1, 1.4, FAINT * 0.2)
    mix = banjo.recording.samples + faint.recording.samples
    part = Recording(mix, faint.recording.sample_rate_hz)
    ground = ground_of(shipped, part, [faint, banjo])
    assert ground is not None
    assert ground.truth.instruments == ("Violin",)
    label = shipped.card.labels.index("Violin")
    loud = ground.truth.active.astype(np.float32)
    (found,) = truths_of(ground, ["Violin"], [Target(label)], [loud])
    assert found is not None
    assert [effect.instrument for effect in found.stems] == ["Violin"]
    assert found.stems[0].relevance > 0.0  # a little of it is in every cell
    assert found.scores.rest_relevance > 0.9
    assert not found.scores.own_stem
    assert not found.scores.pointing


def test_where_stems_are_all_that_sounds_nothing_lies_on_the_rest(shipped: Model) -> None:
    stems = [burst("Violin", 0.1, 0.7, 0.1), burst("Trumpet", 0.8, 1.4, 0.1)]
    part = Recording(mix_samples(stems), stems[0].recording.sample_rate_hz)
    ground = ground_of(shipped, part, stems)
    assert ground is not None
    label = shipped.card.labels.index("Violin")
    mask = ground.truth.true_mask("Violin").astype(np.float32)
    (found,) = truths_of(ground, ["Violin"], [Target(label)], [mask])
    assert found is not None
    assert found.scores.rest_relevance == 0.0
    assert found.scores.own_stem
    assert found.scores.pointing
