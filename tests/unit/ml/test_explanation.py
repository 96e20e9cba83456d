"""Explanations with the shipped model: sums, the slow reference, ranges, tones, errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from ml.asking import MOST_MAPS, check_size
from ml.classification import classify, listen
from ml.errors import (
    InvalidRequestError,
    RangeRequiredError,
    UnknownInstrumentError,
    UnknownLayerError,
    UnknownMethodError,
)
from ml.explanation import Explanation, explain
from ml.model import Model
from ml.networks.blocks import frozen_copy
from ml.recording import Recording
from ml.relevance.engine import ENGINES, concept_layers, explain_targets
from ml.relevance.methods import DEFAULT_METHOD
from ml.relevance.target import Target
from tests.reference import lrp

CONCEPTS_ADD_UP = 1e-5  # what the project promises
FLOAT64 = 1e-9  # of the largest relevance: two float64 computations of the same sums in another order
FLOAT32 = 1e-3  # of the largest relevance: float32 quotients of nearly vanishing sums, against float64


def test_every_instrument_found_is_explained_by_falling_probability(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    classification = classify(shipped, example)
    assert explanation.classification == classification
    assert tuple(instrument.instrument for instrument in explanation.instruments) == classification.found


def test_concepts_and_their_remainder_add_up_to_the_map(explanation: Explanation) -> None:
    for instrument in explanation.instruments:
        assert [concept.channel is None for concept in instrument.concepts] == [False, False, True]
        total = np.sum([concept.relevance_map for concept in instrument.concepts], axis=0)
        error = np.abs(total - instrument.relevance_map).max() / np.abs(instrument.relevance_map).max()
        assert error < CONCEPTS_ADD_UP
        assert instrument.quality.conservation.concept_error == pytest.approx(error)


def test_shares_are_signed_parts_of_all_relevance(shipped: Model, example: Recording) -> None:
    (instrument,) = explain(shipped, example, instruments=["Trumpet"], n_concepts=64).instruments
    magnitudes = [abs(concept.share) for concept in instrument.concepts[:-1]]
    assert magnitudes == sorted(magnitudes, reverse=True)
    assert sum(magnitudes) <= 1.0
    ratios = [concept.relevance / concept.share for concept in instrument.concepts if concept.share]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)


def test_the_map_is_the_slow_references(shipped: Model, example: Recording, explanation: Explanation) -> None:
    heard = listen(shipped, example)
    network = frozen_copy(shipped.network)
    inputs = torch.from_numpy(heard.inputs)[:, None]
    for instrument in explanation.instruments:
        label = shipped.card.labels.index(instrument.instrument)
        expected, at_concepts = lrp.propagate(network, inputs, label, shipped.concept_layer)
        assert at_concepts is not None
        reference = expected[0, 0].numpy()
        error = np.abs(instrument.relevance_map - reference).max() / np.abs(reference).max()
        assert error < FLOAT32
        channels = at_concepts.sum(dim=(2, 3))[0].numpy()
        for concept in instrument.concepts[:-1]:
            assert concept.relevance == pytest.approx(channels[concept.channel], rel=1e-3)
        assert instrument.quality.conservation.logit == pytest.approx(float(heard.logits[0, label]), rel=1e-4)
        assert instrument.quality.conservation.relevance == pytest.approx(float(reference.sum()), rel=1e-2)


@pytest.mark.parametrize("engine", ENGINES)
def test_in_float64_the_map_is_the_slow_references_exactly(
    shipped: Model, example: Recording, engine: str
) -> None:
    network = copy.deepcopy(shipped.network).double()
    precise = Model(shipped.card, shipped.mel, network, shipped.concept_layer, shipped.device)
    inputs = listen(shipped, example).inputs.astype(np.float64)
    label = shipped.card.labels.index("Celesta")
    (found,) = explain_targets(precise, inputs, [Target(label)], 1, engine=engine)
    data = torch.from_numpy(inputs)[:, None]
    expected, _ = lrp.propagate(copy.deepcopy(network), data, label, shipped.concept_layer)
    reference = expected[:, 0].numpy()
    assert np.abs(found.maps - reference).max() < FLOAT64 * np.abs(reference).max()


def test_explaining_again_gives_the_very_same_maps(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    again = explain(shipped, example, n_concepts=2)
    for one, other in zip(explanation.instruments, again.instruments, strict=True):
        np.testing.assert_array_equal(one.relevance_map, other.relevance_map)


def test_a_tones_evidence_lies_on_the_tone(shipped: Model) -> None:
    """A square wave from 1 to 2 s: the relevance lies there in time, and densest on its odd partials."""
    rate, fundamental_hz = shipped.sample_rate_hz, 330.0
    times_s = np.arange(4 * rate) / rate
    tone = 0.3 * np.sign(np.sin(2 * np.pi * fundamental_hz * times_s)) * ((times_s >= 1.0) & (times_s < 2.0))
    recording = Recording(tone.astype(np.float32), rate)
    result = explain(shipped, recording, instruments=["Square Wave Lead"], n_concepts=0)
    relevance = np.abs(result.instruments[0].relevance_map)
    spectrogram = result.spectrogram
    assert relevance.shape == (len(spectrogram.frequencies_hz), len(spectrogram.times_s))
    inside = (spectrogram.times_s > 0.9) & (spectrogram.times_s < 2.1)
    assert relevance[:, inside].sum() > 0.99 * relevance.sum()
    partials_hz = fundamental_hz * np.arange(1, 12, 2)  # above, bands are wider than the gaps
    bands = [int(np.abs(spectrogram.frequencies_hz - hz).argmin()) for hz in partials_hz]
    level = spectrogram.level_db[:, inside].mean(axis=1)
    assert all(level[band - 1 : band + 2].max() == level[band - 3 : band + 4].max() for band in bands)
    by_band = relevance.sum(axis=1)[: bands[-1] + 2]
    on_partials = np.zeros(len(by_band), dtype=bool)
    for band in bands:
        on_partials[band - 1 : band + 2] = True
    assert by_band[on_partials].mean() > 1.5 * by_band[~on_partials].mean()


def test_a_part_of_a_long_recording_keeps_its_times(shipped: Model, example: Recording) -> None:
    long = Recording(np.tile(example.samples, 13), example.sample_rate_hz)  # 65 s
    with pytest.raises(RangeRequiredError, match=r"65\.0 s are too long"):
        explain(shipped, long)
    with pytest.raises(RangeRequiredError):
        explain(shipped, long, start_s=1.0)
    part = explain(shipped, long, instruments=["Trumpet"], n_concepts=0, start_s=10.0, duration_s=5.0)
    assert part.spectrogram.times_s[0] == pytest.approx(10.0)
    assert part.classification.timeline[0].start_s == 10.0
    alone = explain(shipped, example, instruments=["Trumpet"], n_concepts=0)
    np.testing.assert_allclose(
        part.instruments[0].relevance_map, alone.instruments[0].relevance_map, atol=1e-6
    )
    with pytest.raises(InvalidRequestError, match="lies after the recording's end"):
        explain(shipped, long, start_s=70.0, duration_s=5.0)
    for start_s, duration_s in ((-1.0, 5.0), (0.0, 0.0), (float("nan"), 5.0)):
        with pytest.raises(InvalidRequestError, match="do not name a part"):
            explain(shipped, long, start_s=start_s, duration_s=duration_s)
    with pytest.raises(RangeRequiredError):
        explain(shipped, long, start_s=0.0, duration_s=61.0)


def test_overlapping_windows_merge_over_the_whole_part(shipped: Model, example: Recording) -> None:
    twice = Recording(np.tile(example.samples, 2), example.sample_rate_hz)
    result = explain(shipped, twice, instruments=["Celesta"], n_concepts=1)
    (instrument,) = result.instruments
    assert len(result.classification.timeline) == 3
    assert instrument.relevance_map.shape == result.spectrogram.level_db.shape
    quarters = np.array_split(np.abs(instrument.relevance_map).sum(axis=0), 4)
    assert all(quarter.sum() > 0 for quarter in quarters)


def test_silence_is_explained_by_nothing(shipped: Model) -> None:
    silence = Recording(np.zeros(44_100, dtype=np.float32), 44_100)
    assert explain(shipped, silence).instruments == ()
    (asked,) = explain(shipped, silence, instruments=["Violin"]).instruments
    assert not asked.relevance_map.any()
    assert asked.probability == 0.0


def test_what_was_not_found_can_be_asked_for(shipped: Model, example: Recording) -> None:
    """Why not: on a real clip the map of an absent instrument is evidence against on balance, and says so."""
    result = explain(shipped, example, instruments=["Violin", "Trumpet", "Violin"], n_concepts=0)
    assert [instrument.instrument for instrument in result.instruments] == ["Trumpet", "Violin"]
    trumpet, violin = result.instruments
    assert (trumpet.found, violin.found) == (True, False)
    assert violin.quality.conservation.logit < 0
    assert violin.relevance_map.sum() < 0 < violin.relevance_map.max()
    assert violin.timeline.evidence.sum() < 0 < trumpet.timeline.evidence.sum()
    assert "not-found" in {warning.code for warning in violin.quality.warnings}
    assert "not-found" not in {warning.code for warning in trumpet.quality.warnings}


def test_a_contrast_is_the_difference_of_two_maps(shipped: Model, example: Recording) -> None:
    """In one network and method relevance is linear in where it starts."""
    plain = {
        each.instrument: each.relevance_map
        for each in explain(shipped, example, instruments=["Trumpet", "Violin"], n_concepts=0).instruments
    }
    (held,) = explain(shipped, example, instruments=["Trumpet"], contrast="Violin", n_concepts=2).instruments
    assert held.contrast == "Violin"
    difference = plain["Trumpet"] - plain["Violin"]
    assert np.abs(held.relevance_map - difference).max() < CONCEPTS_ADD_UP * np.abs(difference).max()
    logits = listen(shipped, example).logits[0]
    trumpet, violin = (shipped.card.labels.index(name) for name in ("Trumpet", "Violin"))
    assert held.quality.conservation.logit == pytest.approx(float(logits[trumpet] - logits[violin]), rel=1e-4)
    assert held.quality.conservation.concept_error < CONCEPTS_ADD_UP


def test_evidence_and_quality_depend_on_nothing_else_that_is_asked_for(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    """Alone, beside the others, or beside one that was not found: the same map, sounds and judgement."""
    trumpet, celesta = (
        next(each for each in explanation.instruments if each.instrument == name)
        for name in ("Trumpet", "Celesta")
    )
    for together, asked in ((trumpet, ["Trumpet"]), (celesta, ["Celesta", "Violin"])):
        result = explain(shipped, example, instruments=asked, n_concepts=2)
        alone = next(each for each in result.instruments if each.instrument == together.instrument)
        largest = float(np.abs(together.relevance_map).max())
        np.testing.assert_allclose(alone.relevance_map, together.relevance_map, atol=FLOAT32 * largest)
        one, other = alone.audible, together.audible
        assert one.n_maps == other.n_maps
        assert one.kept_energy_share == pytest.approx(other.kept_energy_share, rel=FLOAT32)
        assert one.probability_kept == pytest.approx(other.probability_kept, abs=FLOAT32)
        assert one.probability_removed == pytest.approx(other.probability_removed, abs=FLOAT32)
        assert alone.quality.most_alike is not None
        assert together.quality.most_alike is not None
        assert alone.quality.most_alike.instrument == together.quality.most_alike.instrument
        assert alone.quality.most_alike.similarity == pytest.approx(
            together.quality.most_alike.similarity, rel=FLOAT32
        )
        assert [each.code for each in alone.quality.warnings] == [
            each.code for each in together.quality.warnings
        ]


def test_what_all_are_held_against_is_not_explained_itself(shipped: Model, example: Recording) -> None:
    """Unless it is asked for, which makes no sense."""
    result = explain(shipped, example, contrast="Celesta", n_concepts=0)
    assert "Celesta" in result.classification.found
    assert [each.instrument for each in result.instruments] == ["Trumpet"]
    with pytest.raises(InvalidRequestError, match="'Celesta' cannot be held against itself"):
        explain(shipped, example, instruments=["Trumpet", "Celesta"], contrast="Celesta")
    with pytest.raises(UnknownInstrumentError, match="Kazoo") as caught:
        explain(shipped, example, contrast="Kazoo")
    assert caught.value.extra["unknown"] == ["Kazoo"]


def test_methods_and_layers_are_taken_by_name(shipped: Model, example: Recording) -> None:
    part = example.part(0.0, 1.0)
    layer = concept_layers(shipped)[-2]
    asked = explain(shipped, part, instruments=["Trumpet"], n_concepts=1, method="gamma", layer=layer)
    assert (asked.method, asked.layer) == ("gamma", layer)
    assert {concept.layer for concept in asked.instruments[0].concepts} == {layer}
    assert asked.instruments[0].quality.conservation.concept_error < CONCEPTS_ADD_UP
    plain = explain(shipped, part, instruments=["Trumpet"], n_concepts=0)
    assert (plain.method, plain.layer) == (DEFAULT_METHOD, shipped.concept_layer)
    assert np.abs(plain.instruments[0].relevance_map - asked.instruments[0].relevance_map).max() > 0.0
    with pytest.raises(UnknownMethodError, match="guess"):
        explain(shipped, part, method="guess")
    with pytest.raises(UnknownLayerError, match=r"features\.conv99"):
        explain(shipped, part, layer="features.conv99")


def test_unknown_names_and_numbers_are_refused(shipped: Model, example: Recording) -> None:
    with pytest.raises(UnknownInstrumentError, match="Kazoo") as caught:
        explain(shipped, example, instruments=["Kazoo"])
    assert caught.value.extra["available"] == list(shipped.card.labels)
    for wrong in (-1, 65):
        with pytest.raises(InvalidRequestError, match=r"outside 0\.\.64"):
            explain(shipped, example, n_concepts=wrong)


def test_more_maps_than_memory_holds_are_refused(shipped: Model, example: Recording) -> None:
    """Of 20 s, all instruments with 64 concepts each: refused once heard, before anything is mapped."""
    longer = Recording(np.tile(example.samples, 4), example.sample_rate_hz)
    labels = shipped.card.labels
    n_maps = len(labels) * 66 * 7
    assert n_maps > MOST_MAPS
    stages: list[str] = []
    with pytest.raises(InvalidRequestError, match="Ask for fewer concepts") as caught:
        explain(
            shipped, longer, instruments=labels, n_concepts=64, on_progress=lambda *r: stages.append(r[0])
        )
    assert caught.value.extra == {"n_maps": n_maps, "most_maps": MOST_MAPS}
    assert str(n_maps) in str(caught.value)
    assert set(stages) == {"classifying"}


@pytest.mark.parametrize(("n_instruments", "n_concepts"), [(28, 4), (12, 5), (2, 64)])
def test_a_minute_of_what_is_usual_is_not_too_much(n_instruments: int, n_concepts: int) -> None:
    check_size(n_instruments, n_concepts, n_windows=23)


def test_progress_counts_maps(shipped: Model, example: Recording) -> None:
    reported: list[tuple[str, int, int]] = []
    explain(shipped, example, n_concepts=1, on_progress=lambda *report: reported.append(report))
    attributed = [(done, total) for stage, done, total in reported if stage == "attributing"]
    assert [done for done, _ in attributed] == sorted(done for done, _ in attributed)
    assert attributed[-1] == (6, 6)  # two instruments: the map, one concept, the remainder
    assert [report for report in reported if report[0] == "checking"] == [
        ("checking", done, 2) for done in (0, 1, 2)
    ]
    reported.clear()
    explain(
        shipped, example, instruments=["Trumpet"], n_concepts=1, on_progress=lambda *r: reported.append(r)
    )
    counted = [(done, total) for stage, done, total in reported if stage == "attributing"]
    assert counted[-1] == (5, 5)  # and the other one found: the map, its remainder
