"""Pairs: what is changed and what is not, and what one clip gives back."""

from __future__ import annotations

import numpy as np
import pytest

from ml.checkpoint import SHIPPED_MODELS, read_card
from ml.classification import classify, listen
from ml.errors import InvalidRequestError
from ml.evaluation.counterfactuals.changes import CHANGES
from ml.evaluation.counterfactuals.effects import Subject, study
from ml.evaluation.counterfactuals.pairs import PairedClassification, PairedClip
from ml.evaluation.suites.counterfactuals import BANKS, COMPARED, CUES, CounterfactualsSuite
from ml.evaluation.suites.suite import Request
from ml.model import Model
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.synthesis.soundfonts import find_bank

DEFAULT = SHIPPED_MODELS / "default"
TO_ROUNDING = 1e-4


@pytest.fixture(scope="module")
def clip() -> PairedClip:
    """A violin beside another instrument."""
    request = Request(read_card(DEFAULT), n_clips=2, seed=11)
    first = CounterfactualsSuite().clip_sets(request)[0].clips[0]
    assert isinstance(first, PairedClip)
    return first


@pytest.fixture(scope="module")
def answered(clip: PairedClip, shipped: Model) -> PairedClassification:
    answer, other = clip.classifications([shipped, shipped])
    assert isinstance(answer, PairedClassification)
    assert not isinstance(other, PairedClassification)  # a compared model only classifies
    assert other.instruments == answer.instruments
    return answer


def test_the_clip_as_it_is_is_heard_as_any_other(
    clip: PairedClip, shipped: Model, answered: PairedClassification
) -> None:
    plain = clip.recording(shipped.sample_rate_hz)
    expected = {score.instrument: score for score in classify(shipped, plain).instruments}["Violin"]
    assert answered.instrument == "Violin"
    assert answered.as_it_is.probability == pytest.approx(expected.probability, abs=TO_ROUNDING)
    assert answered.as_it_is.present == expected.present
    heard = listen(shipped, plain)
    label = shipped.card.labels.index("Violin")
    (evidence,) = explain_targets(shipped, heard.inputs, [Target(label)])
    assert answered.as_it_is.logit == pytest.approx(float(heard.logits[0, label]), rel=1e-3)
    assert answered.as_it_is.relevance == pytest.approx(float(evidence.maps.sum()), rel=1e-2)


def test_every_change_has_its_outcome_and_comes_about(answered: PairedClassification) -> None:
    assert [one.change for one in answered.changed] == [change.name for change in CHANGES]
    for change, one in zip(CHANGES, answered.changed, strict=True):
        assert change.check.passed(one.figure_before, one.figure_after), change.name
        assert -1.0 <= one.similarity < 1.0
        assert 0.0 <= one.outcome.onset_share <= 1.0
        assert one.outcome.logit != answered.as_it_is.logit


def test_half_of_the_clips_have_a_partner_that_is_not_the_subject() -> None:
    request = Request(read_card(DEFAULT), n_clips=6, seed=3)
    for clip_set in CounterfactualsSuite().clip_sets(request):
        assert clip_set.measure is None
        plans = [clip.plan for clip in clip_set.clips if isinstance(clip, PairedClip)]
        assert [len(plan.stems) for plan in plans] == [2, 2, 2, 1, 1, 1]
        subjects = {plan.stems[0].instrument for plan in plans}
        assert len(subjects) == 1 or subjects <= set(COMPARED)
        for plan in plans:
            assert len(plan.labels) == len(plan.stems)
            assert not plan.reverb
            assert min(note.duration_s for note in plan.stems[0].notes) >= 0.5


def test_named_banks_are_added_to_debians() -> None:
    fluid = find_bank("FluidR3_GM")
    request = Request(read_card(DEFAULT), n_clips=1, seed=3, banks=(fluid,))
    names = {clip_set.name.rsplit(" ", 1)[1] for clip_set in CounterfactualsSuite().clip_sets(request)}
    assert "FluidR3_GM" in names <= set(BANKS)


def test_a_model_without_the_instruments_in_question_is_refused() -> None:
    card = read_card(DEFAULT).model_copy(update={"labels": ("Celesta", "Hammond Organ")})
    with pytest.raises(InvalidRequestError, match="lack Violin and Trumpet"):
        CounterfactualsSuite().clip_sets(Request(card, n_clips=1, seed=3))


def test_all_figures_come_from_the_pairs(answered: PairedClassification) -> None:
    studied = study(
        Subject("Violin", (answered, answered), np.array([True, False])), np.random.default_rng(0)
    )
    for one in answered.changed:
        effect = studied.effects[one.change]
        assert effect.n_pairs == 2
        assert effect.logit.value == pytest.approx(one.outcome.logit - answered.as_it_is.logit)
        assert effect.similarity.value == pytest.approx(one.similarity)
    assert set(CUES) == {"Violin", "Trumpet"}
