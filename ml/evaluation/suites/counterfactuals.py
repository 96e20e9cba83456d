"""The suite `counterfactuals`: the same notes with one thing changed, for the violin, the trumpet and others.

Does the model listen to the violin's vibrato and to how the trumpet's notes begin, or only to the harmonic
profile? Each clip is heard and explained as it is and under every change (`ml.evaluation.counterfactuals`);
half of the clips are solos, in the other half another instrument plays along unchanged. Notes are those of
the study's protocol, MIDI 60-72, but no shorter than half a second, so that there is time for vibrato.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.errors import InvalidRequestError, SystemDependencyError
from ml.evaluation.clips import ClipSet
from ml.evaluation.counterfactuals.answers import Answer, answer, signed
from ml.evaluation.counterfactuals.changes import CHANGES, About
from ml.evaluation.counterfactuals.effects import Studied, Subject, study
from ml.evaluation.counterfactuals.figures import FIGURES
from ml.evaluation.counterfactuals.forest import draw_effects
from ml.evaluation.counterfactuals.pairs import PairedClassification, PairedClip, paired_clips
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import number, percent, picture, table
from ml.evaluation.sections import Section, SummaryRow
from ml.evaluation.sounds import MissingSoundsError
from ml.evaluation.suites.fresh import fresh_clips, own_seed, served_instruments, use_of
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, Bank, find_bank

TITLE = "Vibrato, attack or harmonic profile?"
BANKS = (DEFAULT_SOUNDFONT, "TimGM6mb")  # Debian's; those that are here
MOST_PAIRS = 60  # of each change, subject and bank: more narrow the intervals little
CUES: dict[str, About] = {"Violin": "vibrato", "Trumpet": "attack"}
COMPARED = ("Soprano Sax", "Piccolo", "Hammond Organ", "String Ensemble 1")
COMPARED_NAME = "other sustained instruments"
PICTURE = "counterfactuals.png"
NOTE_S, REST_S = (0.5, 2.0), (0.05, 0.3)


@dataclass(frozen=True)
class _Group:
    """What is studied with one bank under one name."""

    bank: Bank
    subject: str
    instruments: tuple[str, ...]


class CounterfactualsSuite:
    """The instruments of `CUES` and, for comparison, others, by Debian's banks and those that are named."""

    name = "counterfactuals"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set for each bank and subject; nothing in it is compared between models."""
        return tuple(
            ClipSet(f"counterfactuals {group.subject} {group.bank.name}", None, _clips(request, group))
            for group in _groups(request)
        )

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """What every change does, bank by bank, and what that answers."""
        rng = np.random.default_rng([request.seed, 0xC0F])
        banks: dict[str, list[Studied]] = {}
        for group, part in zip(_groups(request), heard, strict=True):
            banks.setdefault(group.bank.name, []).append(study(_subject(group.subject, part), rng))
        answers = {bank: _answers(studied, rng) for bank, studied in banks.items()}
        uses = {group.bank.name: use_of(group.bank, request.card) for group in _groups(request)}
        parts = [_intro(), picture(PICTURE, "Change of the logit under every change, with 95 % intervals")]
        for bank, studied in banks.items():
            known = "trained on" if uses[bank].use == "trained" else "never heard before"
            parts += [f"### {bank} ({known})", *(one.words for one in answers[bank])]
            parts += [_table(one) for one in studied]
        return Section(
            name=self.name,
            title=TITLE,
            summary=tuple(_rows(banks, answers)),
            record={
                "banks": {
                    bank: {
                        "use": uses[bank],
                        "answers": answers[bank],
                        "effects": {one.subject.name: one.effects for one in studied},
                    }
                    for bank, studied in banks.items()
                }
            },
            text="\n\n".join(parts),
            pictures={PICTURE: draw_effects(banks, TITLE)},
            files={},
        )


def _banks(request: Request) -> tuple[Bank, ...]:
    found: dict[str, Bank] = {}
    for name in BANKS:
        try:
            found[name] = find_bank(name)
        except SystemDependencyError:
            continue
    found |= {bank.name: bank for bank in request.banks}
    if not found:
        raise MissingSoundsError(
            f"The suite counterfactuals needs {DEFAULT_SOUNDFONT} or banks; there are none."
        )
    return tuple(found.values())


def _groups(request: Request) -> Iterator[_Group]:
    """Every bank with every subject that it and the model have."""
    nothing = True
    for bank in _banks(request):
        served = {instrument.name for instrument in served_instruments(bank, request.card.labels)}
        for cue in CUES:
            if cue in served:
                nothing = False
                yield _Group(bank, cue, (cue,))
        if compared := tuple(name for name in COMPARED if name in served):
            yield _Group(bank, COMPARED_NAME, compared)
    if nothing:
        raise InvalidRequestError(
            f"The model {request.card.id} or the banks lack {' and '.join(CUES)}, which the suite is about."
        )


def _clips(request: Request, group: _Group) -> tuple[PairedClip, ...]:
    n_pairs = min(request.n_clips, MOST_PAIRS)
    banks = {group.bank.name: group.bank}
    subject = fresh_clips(_recipe(request, group, group.instruments, n_pairs), request.card, banks)
    partners = tuple(
        instrument.name
        for instrument in served_instruments(group.bank, request.card.labels)
        if instrument.name not in group.instruments
    )
    if not partners or n_pairs < 2:
        return paired_clips(subject, (), banks)
    along = fresh_clips(_recipe(request, group, partners, n_pairs // 2, "-along"), request.card, banks)
    return paired_clips(subject, along, banks)


def _recipe(
    request: Request, group: _Group, instruments: Sequence[str], n_clips: int, part: str = ""
) -> Recipe:
    name = f"counterfactuals-{slug_of(group.subject)}{part}"
    return Recipe(
        name=name,
        seed=own_seed(request.seed, f"{group.bank.name} {name}"),
        n_clips=n_clips,
        instruments=tuple(instruments),
        instruments_per_clip=(1,),
        melody=RandomMelody(note_duration_s=NOTE_S, rest_duration_s=REST_S),
        soundfonts=(group.bank.name,),
        reverb_probability=0.0,
        chorus_probability=0.0,
    )


def _subject(name: str, heard: Heard) -> Subject:
    pairs = tuple(one for one in heard.answers if isinstance(one, PairedClassification))
    return Subject(name, pairs, np.array([len(clip.playing) > 1 for clip in heard.clip_set.clips]))


def _answers(studied: Sequence[Studied], rng: np.random.Generator) -> list[Answer]:
    by_name = {one.subject.name: one for one in studied}
    others = by_name.get(COMPARED_NAME)
    return [answer(by_name[name], about, others, rng) for name, about in CUES.items() if name in by_name]


def _rows(
    banks: Mapping[str, Sequence[Studied]], answers: Mapping[str, Sequence[Answer]]
) -> Iterator[SummaryRow]:
    """The strongest change of every cue, and of the harmonic profile beside it."""
    for bank, said in answers.items():
        by_name = {one.subject.name: one for one in banks[bank]}
        for one in said:
            for change in filter(None, (one.strongest, one.strongest_profile)):
                effect = by_name[one.subject].effects[change]
                yield SummaryRow(
                    f"{one.subject}, {change}, {bank}", "change of the logit", effect.logit, effect.n_pairs
                )


def _intro() -> str:
    return (
        "The same notes by the same bank, with one thing changed. Each line is a mean over pairs, changed "
        "less as it was: of the instrument's logit and probability, of the sum of its map, and of the share "
        "of its map's red that lies on the first 100 ms of its notes; *alike* is the cosine of the two maps, "
        "*lost* the share of pairs in which the model no longer reports the instrument. Whether a change "
        "came about is measured in the sound. A bank's recorded vibrato is in its samples: its pitch can be "
        "steadied, its wavering loudness cannot. Intervals are of each line by itself."
    )


def _table(studied: Studied) -> str:
    rows = []
    for change in CHANGES:
        effect = studied.effects[change.name]
        figures = FIGURES[change.check.figure].words.format(effect.figure_before, effect.figure_after)
        rows.append(
            (
                change.name,
                figures if effect.came_about else f"not come about: {figures}",
                f"{effect.n_pairs}",
                signed(effect.logit),
                signed(effect.logit_solo),
                signed(effect.logit_with_another),
                signed(effect.probability),
                signed(effect.relevance),
                signed(effect.onset_share),
                number(effect.similarity.value, 2),
                percent(effect.lost),
            )
        )
    header = ("sound", "pairs", "logit", "logit, solo", "logit, with another", "probability", "relevance")
    return table((studied.subject.name, *header, "onset share", "alike", "lost"), rows)
