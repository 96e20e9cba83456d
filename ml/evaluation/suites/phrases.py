"""The suite `phrases`: what the model says of each short solo phrase. They are too few for a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.evaluation.clips import ClipSet, FileClip
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import table
from ml.evaluation.sections import Section
from ml.evaluation.sounds import files_sha256
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of

N_LISTED = 4
TITLE = "Solo phrases"


class PhrasesSuite:
    """Every phrase in the folder of sounds."""

    name = "phrases"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set without a figure."""
        labels = {slug_of(label): label for label in request.card.labels}
        clips = tuple(
            FileClip(
                f"{sound.folder_label} {sound.path.stem}",
                sound.path,
                frozenset(
                    {labels[slug_of(sound.folder_label)]} if slug_of(sound.folder_label) in labels else ()
                ),
            )
            for sound in request.need_sounds(self.name).phrases()
        )
        return (ClipSet(self.name, None, clips),)

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """The highest labels of each phrase."""
        (part,) = heard
        sounds = request.need_sounds(self.name).phrases()
        listed = [top_labels(row, part.labels) for row in part.probabilities]
        rows = [
            (
                clip.clip_id,
                ", ".join(f"{name} {given:.2f}" for name, given in top),
                ", ".join(name for name, there in zip(part.labels, present, strict=True) if there)
                or "nothing",
                sound.source or "–",
            )
            for clip, top, present, sound in zip(
                part.clip_set.clips, listed, part.present, sounds, strict=True
            )
        ]
        return Section(
            name=self.name,
            title=TITLE,
            summary=(),
            record={
                "files_sha256": files_sha256(sound.path for sound in sounds),
                "phrases": {
                    clip.clip_id: {"playing": sorted(clip.playing), "probabilities": dict(top)}
                    for clip, top in zip(part.clip_set.clips, listed, strict=True)
                },
            },
            text="Too few for a figure; what the model says of each, by falling probability.\n\n"
            + table(("phrase", "highest probabilities", "reported", "source"), rows),
            pictures={},
            files={},
        )


def top_labels(probabilities: np.ndarray, labels: Sequence[str]) -> list[tuple[str, float]]:
    """The labels of highest probability, and these.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n_labels,)
    labels : sequence of str

    Returns
    -------
    list of (str, float)
        `N_LISTED` at most, by falling probability.
    """
    order = np.argsort(-probabilities, kind="stable")[:N_LISTED]
    return [(labels[index], float(probabilities[index])) for index in order]
