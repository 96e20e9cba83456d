"""The suite `recordings`: what the model hears over time in unlabelled excerpts of pieces."""

from __future__ import annotations

from collections.abc import Sequence

from ml.evaluation.clips import ClipSet, FileClip
from ml.evaluation.heat_maps import draw_timeline
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import picture
from ml.evaluation.sections import Section
from ml.evaluation.sounds import RealSound, files_sha256
from ml.evaluation.suites.phrases import top_labels
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of
from ml.windows import WINDOW_HOP_S, WINDOW_S

TITLE = "Recordings of pieces"


class RecordingsSuite:
    """Every recording in the folder of sounds."""

    name = "recordings"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set without a figure."""
        sounds = request.need_sounds(self.name).recordings()
        return (ClipSet(self.name, None, tuple(FileClip(_title(sound), sound.path) for sound in sounds)),)

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """A timeline of each recording, and its highest labels."""
        (part,) = heard
        sounds = request.need_sounds(self.name).recordings()
        texts, pictures, records = [], {}, {}
        for sound, whole, timeline, present in zip(
            sounds, part.probabilities, part.timelines, part.present, strict=True
        ):
            title = _title(sound)
            file = f"recording-{slug_of(title)[:40].rstrip('-')}.png"
            pictures[file] = draw_timeline(timeline, part.labels, WINDOW_HOP_S, WINDOW_S, title)
            highest = top_labels(whole, part.labels)
            average = top_labels(timeline.mean(axis=0), part.labels)
            records[title] = {
                "sha256": files_sha256([sound.path]),
                "highest": dict(highest),
                "highest_on_average": dict(average),
                "present": [name for name, there in zip(part.labels, present, strict=True) if there],
            }
            texts.append(
                f"### {title}\n\nHighest in any window: {_listed(highest)}. On average over the windows: "
                f"{_listed(average)}.\n\n{picture(file, f'Probabilities over time: {title}')}\n\n"
                f"Source: {sound.source or 'not told'}"
            )
        return Section(
            name=self.name,
            title=TITLE,
            summary=(),
            record=records,
            text="What plays is known from the titles only, so there is no figure. Drums, voices and other "
            "instruments that the model has no label for are heard as whatever of its labels they "
            "resemble.\n\n" + "\n\n".join(texts),
            pictures=pictures,
            files={},
        )


def _title(sound: RealSound) -> str:
    several = len(list(sound.path.parent.glob("*.flac"))) > 1
    return f"{sound.folder_label} {sound.path.stem}" if several else sound.folder_label


def _listed(top: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {given:.2f}" for name, given in top)
