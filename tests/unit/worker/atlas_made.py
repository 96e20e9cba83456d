"""A small atlas, made by hand: one layer whose even channels are named; odd ones never had any relevance."""

from ml.checkpoint import SHIPPED_MODELS, ModelCard, read_card
from ml.concepts.atlas import (
    Atlas,
    ConceptRecord,
    LayerRecord,
    ReferenceRecord,
    TraitRecord,
)
from ml.concepts.clip_record import ClipRecord, StemRecord

LAYER = "features.conv5"


def shipped_card() -> ModelCard:
    """The card of the model that the atlas is of."""
    return read_card(SHIPPED_MODELS / "default")


def small_atlas(n_channels: int = 2) -> Atlas:
    """An atlas of the shipped model with one clip: a violin and a trumpet, each with two notes."""
    violin, trumpet = (
        StemRecord(
            instrument=instrument,
            program=program,
            bank=0,
            gain_db=0.0,
            notes=((0, 960, pitch, 90), (2880, 480, pitch + 2, 80)),
            curves=(),
        )
        for instrument, program, pitch in (("Violin", 40, 76), ("Trumpet", 56, 64))
    )
    named = ConceptRecord(
        channel=0,
        status="named",
        name="Violin, sustained",
        share=1.0,
        instruments={"Violin": 0.9},
        n_measured=2,
        traits=(
            TraitRecord(kind="instrument", value="Violin", purity=0.95, base=0.1, stated=True),
            TraitRecord(kind="moment", value="sustained", purity=0.85, base=0.5, stated=True),
            TraitRecord(kind="register", value="high", purity=0.5, base=0.4, stated=False),
        ),
        references=(
            ReferenceRecord(clip=7, row=0, column=1, moment_s=3.1, relevance=2.5, stem=0),
            ReferenceRecord(clip=7, row=0, column=0, moment_s=0.4, relevance=1.5, stem=1),
        ),
    )
    dead = ConceptRecord(
        channel=1,
        status="dead",
        name=None,
        share=0.0,
        instruments={},
        n_measured=0,
        traits=(),
        references=(),
    )
    return Atlas(
        model_sha256=shipped_card().sha256,
        method="alpha2-beta1",
        recipe={},
        recipe_sha256="00" * 32,
        soundfont="FluidR3_GM",
        soundfont_sha256="00" * 32,
        versions={},
        left_out=("Celesta",),
        statistics={"n_clips": 1.0},
        layers=(
            LayerRecord(
                layer=LAYER,
                bands_hz=((20.0, 16_000.0),),
                times_s=((0.25, 0.75), (2.75, 3.25)),
                concepts=tuple(
                    (dead if channel % 2 else named).model_copy(update={"channel": channel})
                    for channel in range(n_channels)
                ),
            ),
        ),
        clips=(ClipRecord(clip=7, duration_s=5.0, reverb=False, chorus=False, stems=(violin, trumpet)),),
    )
