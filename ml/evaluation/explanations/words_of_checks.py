"""What was found out about maps without stems, and by listening to evidence, in words."""

from __future__ import annotations

from collections.abc import Collection

from ml.evaluation.explanations.checks import N_CONCEPTS
from ml.evaluation.explanations.evidence import EvidenceFigures
from ml.evaluation.explanations.steadiness import Steadiness
from ml.evaluation.markdown import percent, picture, table, with_interval
from ml.truth.stability import GAINS_DB, NOISE_DB


def closer_look(steadiness: Steadiness, pictures: Collection[str]) -> str:
    """What is found out without stems, in Markdown.

    Parameters
    ----------
    steadiness : Steadiness
    pictures : collection of str
        Names of those that there are.

    Returns
    -------
    str
    """
    shown = [
        picture(name, "Deletion and insertion curves") for name in pictures if name.endswith("-curves.png")
    ]
    parts = [
        f"{curves}\n\nHow the logit changes while active patches are deleted in three orders, and while "
        "they are given back; bands are 95 % intervals over clips."
        for curves in shown
    ]
    if steadiness.n_clips:
        parts += [
            f"On {steadiness.n_clips} clips, {steadiness.n_maps} maps: after a gain of "
            f"{' or '.join(f'{gain:+g}' for gain in GAINS_DB)} dB a map's similarity to what it was is "
            f"{with_interval(steadiness.gain)}, with white noise at {NOISE_DB:g} dB "
            f"{with_interval(steadiness.noise)}.",
            "When the network's layers are randomised from the head down, maps should change:",
            table(
                ("randomised down to", "similarity", "rank similarity"),
                [
                    (step.layer, with_interval(step.similarity), with_interval(step.rank_similarity))
                    for step in steadiness.randomised
                ],
            ),
            f"Split by the channels of a layer, with the {N_CONCEPTS} strongest as concepts: how far concept "
            "maps and remainder are from the map made whole, over its largest magnitude; what part of the "
            "positive relevance these concepts hold; and the mass accuracy of their maps:",
            table(
                ("layer", "largest error", "held by the concepts", "their mass accuracy"),
                [
                    (
                        layer.layer,
                        f"{layer.largest_error:.1e}",
                        with_interval(layer.share),
                        with_interval(layer.mass_accuracy),
                    )
                    for layer in steadiness.layers
                ],
            ),
        ]
    return "\n\n".join(parts)


def evidence_words(evidence: EvidenceFigures) -> str:
    """What the model hears in evidence, in Markdown."""
    return (
        f"On {evidence.n_clips} random protocol clips of two instruments each, {evidence.n_instruments} "
        f"instruments, of which {percent(evidence.found.value)} are found: what the mask of an instrument's "
        "map keeps is heard as the instrument (probability at least 0.5) in "
        f"{percent(evidence.keeps.value)}; what it leaves has lost at least half of the instrument's "
        f"probability in {percent(evidence.loses.value)}.\n\n"
        + table(
            ("measure", "result"),
            [
                ("kept is heard as the instrument", with_interval(evidence.keeps)),
                ("removed loses at least half of its probability", with_interval(evidence.loses)),
                ("both", with_interval(evidence.both)),
                ("maps that the mask took", with_interval(evidence.maps)),
                ("share of the energy that is kept", with_interval(evidence.kept_energy_share)),
            ],
        )
    )
