"""Answers in words, put together from the figures: whether a change came about, its sign, its significance.

An effect is *significant* when its 95 % interval leaves 0 out. Nothing here knows how an answer should turn
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.evaluation.counterfactuals.changes import CHANGES, About, Change
from ml.evaluation.counterfactuals.effects import Effect, Studied, own_effect, stronger
from ml.evaluation.counterfactuals.figures import FIGURES
from ml.evaluation.intervals import Interval

Verdict = Literal["for", "against", "both ways", "none", "untested"]
Effects = Mapping[str, Effect]

WITHOUT: Mapping[About, str] = {  # what the changes take away that weaken a cue
    "vibrato": "the recorded vibrato",
    "attack": "the recorded attack",
}
MORE: Mapping[About, str] = {  # what those add that strengthen it
    "vibrato": "vibrato added to it",
    "attack": "a pitch that rises into notes",
}


@dataclass(frozen=True)
class Answer:
    """Whether a model listens to a cue of an instrument.

    Attributes
    ----------
    subject : str
    about : {"vibrato", "attack"}
    of_recorded, of_added : {"for", "against", "both ways", "none", "untested"}
        What the significant effects of the changes say that take the cue away, and of those that add to it:
        it speaks for the instrument, against it, for it by one change and against it by another; none is
        significant; no change came about.
    strongest, strongest_profile : str
        The changes of the cue, if possible one that takes it away, and of the harmonic profile, that move the
        mean logit most; empty where none came about.
    against_profile : Interval or None
        `ml.evaluation.counterfactuals.effects.stronger` of the two.
    against_others : mapping of str to Interval
        `ml.evaluation.counterfactuals.effects.own_effect` of each change of the cue that came about for both.
    words : str
        The answer in Markdown.
    """

    subject: str
    about: About
    of_recorded: Verdict
    of_added: Verdict
    strongest: str
    strongest_profile: str
    against_profile: Interval | None
    against_others: Mapping[str, Interval]
    words: str


def answer(studied: Studied, about: About, others: Studied | None, rng: np.random.Generator) -> Answer:
    """Answer whether a subject's cue is listened to.

    Parameters
    ----------
    studied : Studied
    about : {"vibrato", "attack"}
    others : Studied or None
        Other instruments under the same changes.
    rng : numpy.random.Generator

    Returns
    -------
    Answer
    """
    subject, effects = studied.subject, studied.effects
    cue, profile = (_came_about(effects, family) for family in (about, "profile"))
    recorded, added = ([change for change in cue if change.sign == sign] for sign in (-1, 1))
    said = [_sentence(subject.name, change, effects[change.name]) for change in _family(about)]
    strongest, strongest_profile = (_strongest(family, effects) for family in (recorded or added, profile))
    of_recorded, of_added = (_verdict(family, effects) for family in (recorded, added))
    against_profile = None
    if strongest and strongest_profile:
        against_profile = stronger(subject, strongest, strongest_profile, rng)
        of_profile = effects[strongest_profile].logit
        said.append(_compared(strongest, strongest_profile, of_profile, against_profile))
    against_others = {}
    if others is not None:
        against_others = {
            change.name: own_effect(subject, others.subject, change.name, rng)
            for change in cue
            if others.effects[change.name].came_about
        }
    if others is not None and against_others:
        said.append(_held_against(others.subject.name, against_others))
    conclusion = _conclusion(subject.name, about, (of_recorded, of_added), against_profile)
    return Answer(
        subject=subject.name,
        about=about,
        of_recorded=of_recorded,
        of_added=of_added,
        strongest=strongest,
        strongest_profile=strongest_profile,
        against_profile=against_profile,
        against_others=against_others,
        words=f"**{conclusion}** {' '.join(said)}",
    )


def is_significant(interval: Interval) -> bool:
    """Whether an interval leaves 0 out."""
    return bool(interval.low > 0.0 or interval.high < 0.0)


def signed(interval: Interval, digits: int = 2) -> str:
    """A difference and its interval with signs, as in ``-1.20 [-1.50, -0.90]``."""
    if np.isnan(interval.value):
        return "–"
    return f"{interval.value:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"


def _family(about: str) -> list[Change]:
    return [change for change in CHANGES if change.about == about]


def _came_about(effects: Effects, about: str) -> list[Change]:
    return [change for change in _family(about) if effects[change.name].came_about]


def _strongest(family: Sequence[Change], effects: Effects) -> str:
    return max(
        (change.name for change in family), key=lambda name: abs(effects[name].logit.value), default=""
    )


def _verdict(family: Sequence[Change], effects: Effects) -> Verdict:
    if not family:
        return "untested"
    speaks = {
        np.sign(effects[change.name].logit.value) * change.sign
        for change in family
        if is_significant(effects[change.name].logit)
    }
    if not speaks:
        return "none"
    if speaks == {1.0}:
        return "for"
    if speaks == {-1.0}:
        return "against"
    return "both ways"


def _sentence(subject: str, change: Change, effect: Effect) -> str:
    figures = FIGURES[change.check.figure].words.format(effect.figure_before, effect.figure_after)
    if not effect.came_about:
        return f"{change.does} did not come about ({figures}), so it says nothing."
    if not is_significant(effect.logit):
        return (
            f"{change.does} ({figures}) does not measurably move the logit of the {subject} "
            f"({signed(effect.logit)})."
        )
    moves = "raises" if effect.logit.value > 0.0 else "lowers"
    return f"{change.does} ({figures}) {moves} the logit of the {subject} ({signed(effect.logit)})."


def _compared(strongest: str, profile: str, of_profile: Interval, by: Interval) -> str:
    told = {1: "more than", -1: "less than", 0: "neither measurably more nor less than"}[_direction(by)]
    return (
        f"*{strongest}* moves it {told} *{profile}*, the strongest change of the harmonic profile "
        f"({signed(of_profile)}; difference of the sizes {signed(by)})."
    )


def _held_against(others: str, by: Mapping[str, Interval]) -> str:
    told = {1: "more upwards", -1: "more downwards", 0: "not measurably otherwise"}
    each = [f"*{change}* moves it {told[_direction(one)]} ({signed(one)})" for change, one in by.items()]
    return f"Held against the logits of {others} under the same change: {', '.join(each)}."


def _direction(interval: Interval) -> int:
    return int(np.sign(interval.value)) if is_significant(interval) else 0


def _conclusion(
    subject: str, about: About, verdicts: tuple[Verdict, Verdict], against_profile: Interval | None
) -> str:
    recorded, added = WITHOUT[about], MORE[about]
    first = {
        "for": f"The model listens to {recorded} of the {subject}",
        "against": f"To the model, {recorded} speaks against the {subject}",
        "both ways": f"The model heeds {recorded} of the {subject}, but not in one direction",
        "none": f"The model does not measurably heed {recorded} of the {subject}",
        "untested": f"Whether the model heeds {recorded} of the {subject} could not be tested",
    }[verdicts[0]]
    second = {
        "for": f"{added} speaks for it",
        "against": f"{added} speaks against it",
        "both ways": f"{added} speaks for it in one form and against it in another",
        "none": f"{added} makes no measurable difference",
        "untested": f"{added} could not be tested",
    }[verdicts[1]]
    if against_profile is None or verdicts[0] in ("none", "untested"):
        return f"{first}; {second}."
    weight = {
        1: "it weighs more than",
        -1: "it weighs less than",
        0: "it weighs neither measurably more nor less than",
    }[_direction(against_profile)]
    return f"{first}; {weight} the harmonic profile; {second}."
