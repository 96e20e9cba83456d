"""The suite `notes`: melodies of recorded notes of real instruments, alone and, where there are several,
mixed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ml.evaluation.charts import draw_bars
from ml.evaluation.clips import ClipSet
from ml.evaluation.intervals import Interval, bootstrap, weighted_mean
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import number, picture, table, with_interval
from ml.evaluation.real_notes import GAIN_DB, NotesClip, draw_part
from ml.evaluation.scores import ClipScores, score
from ml.evaluation.sections import Section, SummaryRow, Target
from ml.evaluation.sounds import MissingSoundsError, RealSound, files_sha256
from ml.evaluation.suites.fresh import own_seed
from ml.evaluation.suites.scored import scored_row
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of

TARGETS = {"Acoustic Grand Piano": Target(at_least=0.92, aim=0.98)}
MOST_AT_ONCE = 4
MIX_SET = "real mixes"
TITLE = "Melodies of real notes"


@dataclass(frozen=True)
class MelodyScore:
    """How well melodies of one real instrument are heard.

    Attributes
    ----------
    n_clips, n_files : int
    top1, top3 : Interval
        Share of melodies in which the instrument has the highest probability, or one of the three highest.
    probability : Interval
        The instrument's, on average.
    present : Interval
        Share of melodies in which it is reported.
    n_others : float
        Other instruments reported per melody.
    mistaken_for : dict of str to float
        Other labels by the share of melodies in which they have the highest probability.
    """

    n_clips: int
    n_files: int
    top1: Interval
    top3: Interval
    probability: Interval
    present: Interval
    n_others: float
    mistaken_for: dict[str, float]


class NotesSuite:
    """Real notes of every instrument that the folder of sounds and the model have."""

    name = "notes"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """A set of melodies for each instrument, and one of mixes when there are several instruments."""
        notes = _usable(request)
        sets = [
            ClipSet(f"real notes {label}", "top-1", _melodies(request, label, notes[label]))
            for label in notes
        ]
        if len(notes) > 1:
            sets.append(ClipSet(MIX_SET, "macro-F1", _mixes(request, notes)))
        return tuple(sets)

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """Top-1 accuracy and more of each instrument; macro-F1 of mixes."""
        notes = _usable(request)
        rng = np.random.default_rng([request.seed, 0x40735])
        scored = {
            label: score_melodies(part, label, len(sounds), rng)
            for (label, sounds), part in zip(notes.items(), heard, strict=False)
        }
        mixes = score(heard[-1:], request.seed) if len(notes) > 1 else None
        unknown = sorted(set(request.need_sounds(self.name).notes()) - set(notes))
        plans = [
            {"clip_id": clip.clip_id, "parts": [asdict(part) for part in clip.parts]}
            for part in heard
            for clip in part.clip_set.clips
            if isinstance(clip, NotesClip)
        ]
        bars = {
            "top-1": {label: scores.top1 for label, scores in scored.items()},
            "top-3": {label: scores.top3 for label, scores in scored.items()},
            "mean probability": {label: scores.probability for label, scores in scored.items()},
        }
        summary = [
            SummaryRow(
                f"Melodies of real notes: {label}", "top-1", scores.top1, scores.n_clips, TARGETS.get(label)
            )
            for label, scores in scored.items()
        ]
        if mixes is not None:
            summary.append(scored_row("Mixes of real melodies", mixes))
        return Section(
            name=self.name,
            title=TITLE,
            summary=tuple(summary),
            record={
                "melodies": scored,
                "mixes": mixes,
                "files_sha256": {
                    label: files_sha256(sound.path for sound in sounds) for label, sounds in notes.items()
                },
                "not_labels_of_the_model": unknown,
            },
            text=_text(scored, mixes, notes, unknown),
            pictures={"notes.png": draw_bars(bars, "share, or probability", TITLE)},
            files={"notes.jsonl": "".join(json.dumps(plan) + "\n" for plan in plans).encode()},
        )


def score_melodies(heard: Heard, label: str, n_files: int, rng: np.random.Generator) -> MelodyScore:
    """Score melodies of one instrument.

    Parameters
    ----------
    heard : Heard
        Clips in which it plays alone.
    label : str
    n_files : int
        Notes that the melodies were drawn from.
    rng : numpy.random.Generator

    Returns
    -------
    MelodyScore
    """
    column = heard.labels.index(label)
    given = heard.probabilities[:, column]
    higher = (heard.probabilities > given[:, None]).sum(axis=1)  # labels above it, per melody
    highest = heard.probabilities.argmax(axis=1)
    others = np.delete(heard.present, column, axis=1)
    shares = np.bincount(highest, minlength=len(heard.labels)) / len(heard)
    return MelodyScore(
        n_clips=len(heard),
        n_files=n_files,
        top1=bootstrap(weighted_mean(higher < 1), len(heard), rng),
        top3=bootstrap(weighted_mean(higher < 3), len(heard), rng),
        probability=bootstrap(weighted_mean(given), len(heard), rng),
        present=bootstrap(weighted_mean(heard.present[:, column]), len(heard), rng),
        n_others=float(others.sum(axis=1).mean()),
        mistaken_for={
            heard.labels[other]: float(shares[other])
            for other in np.argsort(-shares, kind="stable")
            if other != column and shares[other] > 0.0
        },
    )


def _usable(request: Request) -> dict[str, tuple[RealSound, ...]]:
    """Notes by the model's labels; folders that name none of them are left out."""
    labels = {slug_of(label): label for label in request.card.labels}
    found = request.need_sounds("notes").notes()
    usable = {
        labels[slug_of(folder)]: sounds for folder, sounds in found.items() if slug_of(folder) in labels
    }
    if not usable:
        raise MissingSoundsError(
            f"None of the real notes ({', '.join(found)}) is of an instrument of {request.card.id}."
        )
    return {label: usable[label] for label in sorted(usable)}


def _melodies(request: Request, label: str, sounds: Sequence[RealSound]) -> tuple[NotesClip, ...]:
    folder, files = _files(request, sounds)
    seed = own_seed(request.seed, label)
    return tuple(
        NotesClip(
            f"notes-{slug_of(label)}-{index:05d}",
            folder,
            (draw_part(label, files, np.random.default_rng([seed, index])),),
        )
        for index in range(request.n_clips)
    )


def _mixes(request: Request, notes: dict[str, tuple[RealSound, ...]]) -> tuple[NotesClip, ...]:
    labels = list(notes)
    seed = own_seed(request.seed, MIX_SET)
    clips = []
    for index in range(request.n_clips):
        rng = np.random.default_rng([seed, index])
        size = int(rng.integers(2, min(MOST_AT_ONCE, len(labels)), endpoint=True))
        chosen = [labels[place] for place in rng.choice(len(labels), size, replace=False)]
        parts = tuple(
            draw_part(label, _files(request, notes[label])[1], rng, gain_db=GAIN_DB) for label in chosen
        )
        clips.append(NotesClip(f"notes-mix-{index:05d}", _files(request, notes[chosen[0]])[0], parts))
    return tuple(clips)


def _files(request: Request, sounds: Sequence[RealSound]) -> tuple[Path, list[str]]:
    folder = request.need_sounds("notes").path / "real" / "notes"
    return folder, [sound.path.relative_to(folder).as_posix() for sound in sounds]


def _text(
    scored: dict[str, MelodyScore],
    mixes: ClipScores | None,
    notes: dict[str, tuple[RealSound, ...]],
    unknown: Sequence[str],
) -> str:
    header = ("instrument", "notes", "melodies", "top-1", "top-3", "mean probability", "reported")
    rows = [
        (
            label,
            str(scores.n_files),
            f"{scores.n_clips:,}",
            with_interval(scores.top1),
            with_interval(scores.top3),
            with_interval(scores.probability),
            with_interval(scores.present),
            number(scores.n_others, 2),
            ", ".join(f"{name} {share:.0%}" for name, share in list(scores.mistaken_for.items())[:3]) or "–",
        )
        for label, scores in scored.items()
    ]
    parts = [
        "Recorded notes of real instruments, drawn at random and put one after another with overlapping "
        "tails, five seconds each; `notes.jsonl` says what was played. *Top-1*: the instrument has the "
        "highest probability.",
        table((*header, "others reported", "mistaken for"), rows),
        picture("notes.png", "Melodies of real notes with 95 % intervals"),
    ]
    if mixes is not None:
        parts.append(
            f"Mixes of 2 to {min(MOST_AT_ONCE, len(notes))} instruments: macro-F1 "
            f"{with_interval(mixes.macro_f1)}, exactly right {with_interval(mixes.exact)} "
            f"({mixes.n_clips:,} clips)."
        )
    if unknown:
        parts.append(f"Not among the model's labels, left out: {', '.join(unknown)}.")
    sources = sorted({sound.source for sounds in notes.values() for sound in sounds if sound.source})
    if sources:
        parts.append(f"Sources: {'; '.join(sources)}.")
    return "\n\n".join(parts)
