"""Clips of the reference set as an atlas keeps them: what is played, note by note, in ticks of 1/960 s."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ml.synthesis.plan import TICKS_PER_SECOND, ClipPlan, Control, ControllerCurve, Note, StemPlan


class Record(BaseModel):
    """A part of an atlas: unknown fields are refused, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CurveRecord(Record):
    """What a controller does (`ml.synthesis.plan.ControllerCurve`), in ticks."""

    control: Control
    ticks: tuple[int, ...]
    values: tuple[int, ...]


class StemRecord(Record):
    """An instrument's part. Each note is its start and duration in ticks, its pitch and its velocity."""

    instrument: str
    program: int
    bank: int
    gain_db: float
    notes: tuple[tuple[int, int, int, int], ...]
    curves: tuple[CurveRecord, ...]


class ClipRecord(Record):
    """A clip of the reference set: what is played."""

    clip: int
    duration_s: float
    reverb: bool
    chorus: bool
    stems: tuple[StemRecord, ...]

    @staticmethod
    def of(clip: int, plan: ClipPlan) -> ClipRecord:
        """Record a plan; one with effects cannot be."""
        if plan.effects is not None:
            raise ValueError(f"Clip {plan.clip_id} has effects, which an atlas does not record.")
        stems = tuple(
            StemRecord(
                instrument=stem.instrument,
                program=stem.program,
                bank=stem.bank,
                gain_db=stem.gain_db,
                notes=tuple(
                    (_ticks(note.start_s), _ticks(note.duration_s), note.pitch, note.velocity)
                    for note in stem.notes
                ),
                curves=tuple(
                    CurveRecord(
                        control=curve.control,
                        ticks=tuple(_ticks(time_s) for time_s in curve.times_s),
                        values=curve.values,
                    )
                    for curve in stem.controllers
                ),
            )
            for stem in plan.stems
        )
        return ClipRecord(
            clip=clip, duration_s=plan.duration_s, reverb=plan.reverb, chorus=plan.chorus, stems=stems
        )

    def plan(self, soundfont: str) -> ClipPlan:
        """The plan that was recorded, to be rendered with a SoundFont."""
        stems = tuple(
            StemPlan(
                instrument=stem.instrument,
                program=stem.program,
                soundfont=soundfont,
                gain_db=stem.gain_db,
                notes=tuple(
                    Note(start / TICKS_PER_SECOND, duration / TICKS_PER_SECOND, pitch, velocity)
                    for start, duration, pitch, velocity in stem.notes
                ),
                bank=stem.bank,
                controllers=tuple(
                    ControllerCurve(
                        curve.control, tuple(tick / TICKS_PER_SECOND for tick in curve.ticks), curve.values
                    )
                    for curve in stem.curves
                ),
            )
            for stem in self.stems
        )
        return ClipPlan(
            f"reference-{self.clip:07d}", "train", self.duration_s, self.reverb, self.chorus, stems
        )


def _ticks(time_s: float) -> int:
    return round(time_s * TICKS_PER_SECOND)
