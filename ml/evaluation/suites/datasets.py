"""The suite `datasets`: the validation parts of finished data sets, synthesised or imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ml.dataset.reader import SplitReader
from ml.errors import InvalidRequestError
from ml.evaluation.clips import ClipSet
from ml.evaluation.kinship import Kinship, kinship
from ml.evaluation.listening import Heard
from ml.evaluation.scores import score
from ml.evaluation.sections import Section
from ml.evaluation.stored import SPLIT, StoredClip
from ml.evaluation.suites.scored import ScoredSet, sets_section
from ml.evaluation.suites.suite import Request


class DatasetsSuite:
    """Whatever data sets are named, all clips of their validation part."""

    name = "datasets"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set for each data set."""
        if not request.datasets:
            raise InvalidRequestError("The suite datasets needs a data set; name one with --dataset.")
        return tuple(self._clip_set(request, place) for place in request.datasets)

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """All figures of each set."""
        sets = []
        for place, part in zip(request.datasets, heard, strict=True):
            manifest = SplitReader(place, SPLIT).manifest
            own = kinship(request.card, manifest.digest)
            sets.append(
                ScoredSet(
                    name=manifest.name,
                    kind="Validation part (known to the model) of" if own.fitted_on else "Validation part of",
                    description=_described(request, own, manifest.digest),
                    record={
                        "digest": manifest.digest,
                        **asdict(own),
                        "compared": {
                            card.id: asdict(kinship(card, manifest.digest)) for card in request.compared
                        },
                        "soundfonts": manifest.soundfonts,
                    },
                    scores=score([part], request.seed),
                )
            )
        return sets_section(self.name, "Validation parts of data sets", sets, request.card.labels)

    def _clip_set(self, request: Request, place: str) -> ClipSet:
        reader = SplitReader(place, SPLIT)
        missing = [name for name in reader.label_names if name not in request.card.labels]
        if missing:
            raise InvalidRequestError(
                f"The model {request.card.id} has no label for {', '.join(missing)} of {place}."
            )
        if reader.manifest.mel.to_dict() != request.card.mel:
            raise InvalidRequestError(
                f"The data set in {place} was made with another mel configuration than {request.card.id}."
            )
        clips = tuple(
            StoredClip(
                clip_id,
                place,
                index,
                frozenset(
                    name
                    for name, plays in zip(reader.label_names, reader.labels[index], strict=True)
                    if plays
                ),
            )
            for index, clip_id in enumerate(reader.clip_ids)
        )
        return ClipSet(f"data set {reader.manifest.name}", "macro-F1", clips)


def _described(request: Request, own: Kinship, digest: str) -> str:
    """What the model, and every compared one that knows the data set, has to do with it."""
    told = [own.told("The model")]
    for card in request.compared:
        other = kinship(card, digest)
        if any(asdict(other).values()):
            told.append(other.told(f"The compared model `{card.id}`"))
    return "\n\n".join(told)
