"""Effects and answers of made-up outcomes: signs, significance, what did not come about."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ml.evaluation.counterfactuals.answers import answer, is_significant
from ml.evaluation.counterfactuals.changes import CHANGES, Check
from ml.evaluation.counterfactuals.effects import Studied, Subject, own_effect, stronger, study
from ml.evaluation.counterfactuals.forest import draw_effects
from ml.evaluation.counterfactuals.pairs import ChangedOutcome, Outcome, PairedClassification
from ml.evaluation.intervals import Interval

N = 30
BEFORE, AFTER = 20.0, {"wavering": 40.0, "onset pitch": -60.0, "onset level": -80.0}


def outcome(logit: float) -> Outcome:
    return Outcome(logit, 1.0 / (1.0 + np.exp(-logit)), logit > 0.0, 0.5 * logit, 0.3)


def made(name: str, shifts: Mapping[str, float], unchanged: tuple[str, ...] = ()) -> Studied:
    """A subject whose logit every change moves by about so much, 0 where it is not named."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(N):
        logit = float(rng.normal(5.0, 1.0))
        changed = tuple(
            ChangedOutcome(
                change.name,
                outcome(logit + shifts.get(change.name, 0.0) + float(rng.normal(0.0, 0.2))),
                similarity=0.9,
                figure_before=BEFORE,
                figure_after=BEFORE
                if change.name in unchanged
                else BEFORE + np.sign(change.check.least) * 100.0,
            )
            for change in CHANGES
        )
        pairs.append(PairedClassification((), (), name, outcome(logit), changed))
    subject = Subject(name, tuple(pairs), np.arange(N) % 2 == 0)
    return study(subject, np.random.default_rng(1))


def asked(studied: Studied, others: Studied | None = None) -> tuple[str, str, str]:
    said = answer(studied, "vibrato", others, np.random.default_rng(2))
    return said.of_recorded, said.of_added, said.words


def test_effects_are_paired_differences() -> None:
    studied = made("Violin", {"darker": -2.0})
    subject, effect = studied.subject, studied.effects["darker"]
    before = np.array([pair.as_it_is.logit for pair in subject.pairs])
    after = np.array([one.outcome.logit for one in subject.outcomes("darker")])
    assert effect.logit.value == pytest.approx((after - before).mean())
    assert effect.relevance.value == pytest.approx(0.5 * (after - before).mean())
    assert effect.logit_with_another.value == pytest.approx((after - before)[::2].mean())
    assert effect.logit_solo.value == pytest.approx((after - before)[1::2].mean())
    assert effect.logit.low < -2.0 + 0.2
    assert effect.logit.high - effect.logit.low < 0.3  # what differs between pairs cancels
    assert effect.lost == pytest.approx(np.mean(after <= 0.0))
    assert effect.onset_share.value == 0.0


def test_a_cue_whose_loss_lowers_the_logit_is_listened_to() -> None:
    recorded, added, words = asked(made("Violin", {"pitch steadied": -1.0, "darker": -3.0}))
    assert (recorded, added) == ("for", "none")
    assert "**The model listens to the recorded vibrato of the Violin" in words
    assert "it weighs less than the harmonic profile" in words
    assert "vibrato added to it makes no measurable difference" in words


def test_signs_decide() -> None:
    shifts = {"pitch steadied": 1.0, "vibrato by wheel": -1.0, "vibrato by bend": -0.5}
    recorded, added, words = asked(made("Violin", shifts))
    assert (recorded, added) == ("against", "against")
    assert "it weighs more than the harmonic profile" in words
    recorded, added, _ = asked(made("Violin", {"vibrato by wheel": -1.0, "vibrato by bend": 1.0}))
    assert (recorded, added) == ("none", "both ways")


def test_what_did_not_come_about_says_nothing() -> None:
    shifts = {"pitch steadied": -1.0, "vibrato by wheel": 2.0}
    studied = made("Violin", shifts, unchanged=("pitch steadied", "vibrato by bend"))
    assert not studied.effects["pitch steadied"].came_about
    recorded, added, words = asked(studied)
    assert (recorded, added) == ("untested", "for")
    assert "did not come about" in words
    nothing = made("Violin", {}, unchanged=("pitch steadied", "vibrato by bend", "vibrato by wheel"))
    assert asked(nothing)[:2] == ("untested", "untested")


def test_a_subject_is_held_against_others() -> None:
    violin, same = made("Violin", {"pitch steadied": -1.0}), made("others", {"pitch steadied": -1.0})
    other = made("others", {"pitch steadied": 0.5})
    assert "*pitch steadied* moves it not measurably otherwise" in asked(violin, same)[2]
    assert "*pitch steadied* moves it more downwards" in asked(violin, other)[2]
    said = answer(violin, "vibrato", other, np.random.default_rng(2))
    assert list(said.against_others) == ["vibrato by wheel", "vibrato by bend", "pitch steadied"]
    assert "Held against" not in asked(violin)[2]
    rng = np.random.default_rng(3)
    by = own_effect(violin.subject, other.subject, "pitch steadied", rng)
    assert by.value == pytest.approx(
        violin.effects["pitch steadied"].logit.value - other.effects["pitch steadied"].logit.value
    )
    assert is_significant(by)


def test_sizes_are_compared_whichever_way_they_point() -> None:
    subject = made("Violin", {"pitch steadied": -2.0, "darker": 1.0}).subject
    by = stronger(subject, "pitch steadied", "darker", np.random.default_rng(4))
    assert by.value == pytest.approx(1.0, abs=0.2)
    assert by.low > 0.0


@pytest.mark.parametrize(
    ("check", "before", "after", "passed"),
    [
        (Check("wavering", 5.0), 10.0, 15.0, True),
        (Check("wavering", 5.0), 10.0, 14.0, False),
        (Check("onset level", -3.0), 0.0, -3.0, True),
        (Check("onset level", -3.0), 0.0, 10.0, False),
        (Check("brightness", -0.1, is_share=True), 1000.0, 900.0, True),
        (Check("brightness", -0.1, is_share=True), 1000.0, 950.0, False),
        (Check("even share", -0.5, is_share=True), float("nan"), 0.1, False),
    ],
)
def test_checks(check: Check, before: float, after: float, passed: bool) -> None:
    assert check.passed(before, after) is passed


def test_significant_is_what_leaves_zero_out() -> None:
    assert is_significant(Interval(1.0, 0.1, 2.0))
    assert is_significant(Interval(-1.0, -2.0, -0.1))
    assert not is_significant(Interval(0.1, -0.1, 0.3))
    assert not is_significant(Interval(np.nan, np.nan, np.nan))


def test_the_picture_is_a_picture() -> None:
    studied = [made("Violin", {"darker": -1.0}), made("Trumpet", {}, unchanged=("darker",))]
    assert draw_effects({"A bank": studied, "Another": studied[:1]}, "Effects").startswith(b"\x89PNG")
