"""The words and tables of the section about explanations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ml.evaluation.explanations.breakdown import Breakdown, breakdown_table
from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.curves import Bands
from ml.evaluation.explanations.evidence import EvidenceFigures
from ml.evaluation.explanations.example import Example, named
from ml.evaluation.explanations.material import PROTOCOL, UNSEEN, ExplainedSet
from ml.evaluation.explanations.measures import MapFigures
from ml.evaluation.explanations.method_table import MethodRow, method_table
from ml.evaluation.explanations.steadiness import Steadiness
from ml.evaluation.explanations.words_of_checks import closer_look, evidence_words
from ml.evaluation.explanations.words_of_methods import comparison_words
from ml.evaluation.markdown import number, percent, picture, table, with_interval
from ml.truth.faithfulness import FRACTION
from ml.truth.patches import PATCH
from ml.truth.stems import ACTIVE_DB

_MEASURES = (  # field of `MapFigures`, what it is called
    ("coverage", "instruments found"),
    ("skill", "skill over loudness"),
    ("skill_found", "skill, of those found"),
    ("mass_accuracy", "mass accuracy"),
    ("energy_share", "share of energy: the mass accuracy of loudness"),
    ("pointing", "pointing game"),
    ("own_stem", "lies most on its own stem"),
    ("rank_accuracy", "rank accuracy"),
    ("shapley_correlation", "correlation with the stems' Shapley values"),
    ("time_overlap", "relevance in time with its stem"),
    ("sounding_share", "the same of relevance spread evenly"),
    ("deletion_gain", "deletion gain over random"),
    ("loudest_gain", "the same of deleting the loudest"),
    ("insertion", "insertion"),
    ("similarity", "two instruments' maps alike"),
)


@dataclass(frozen=True)
class Material:
    """All that is told.

    Attributes
    ----------
    sets : sequence of ExplainedSet
    chosen : Contender
    figures : mapping of str to MapFigures
        The chosen method's, by group of clips.
    of_banks : mapping of str to MapFigures
        By bank.
    rows : mapping of str to sequence of MethodRow
        By model.
    parts : mapping of str to Breakdown
    bands : mapping of str to Bands
    steadiness : Steadiness
    evidence : EvidenceFigures
    example : Example or None
    """

    sets: Sequence[ExplainedSet]
    chosen: Contender
    figures: Mapping[str, MapFigures]
    of_banks: Mapping[str, MapFigures]
    rows: Mapping[str, Sequence[MethodRow]]
    parts: Mapping[str, Breakdown]
    bands: Mapping[str, Bands]
    steadiness: Steadiness
    evidence: EvidenceFigures
    example: Example | None


def bank_words(sets: Sequence[ExplainedSet]) -> str:
    """What the banks are called that the model never heard."""
    names = [one.use.name for one in sets if one.group == UNSEEN]
    return f"{names[0]}, never heard" if len(names) == 1 else f"{len(names)} banks never heard"


def section_text(material: Material, pictures: Collection[str], seconds_name: str) -> str:
    """The section in Markdown.

    Parameters
    ----------
    material : Material
    pictures : collection of str
        Names of those that there are.
    seconds_name : str
        The file with times.

    Returns
    -------
    str
    """
    method_pictures = [name for name in pictures if "-methods" in name]
    return "\n\n".join(
        part
        for part in (
            _introduction(material),
            _example(material, pictures),
            f"### The method `{material.chosen.key}`",
            _figures(material),
            "### Methods compared" if material.rows else "",
            *(
                comparison_words(rows, list(material.figures), seconds_name)
                for rows in list(material.rows.values())[:1]
            ),
            *(
                f"{_heading(material, name, place)}"
                f"{method_table(rows, list(material.figures), material.chosen)}"
                f"\n\n{picture(shown, f'Methods on {name}: truth and faithfulness side by side')}"
                for place, ((name, rows), shown) in enumerate(
                    zip(material.rows.items(), method_pictures, strict=True)
                )
            ),
            "### Where maps are true and where not",
            breakdown_table("instruments in the clip", material.parts["by_number"]),
            breakdown_table("its share of the energy", material.parts["by_energy"]),
            breakdown_table("instrument", material.parts["by_instrument"]),
            "On whose stem whose relevance lies, over the clips in which both play:",
            *(picture(name, "Relevance on stems") for name in pictures if "-stems-" in name),
            "### Faithful without stems",
            closer_look(material.steadiness, pictures),
            "### Evidence one can hear",
            evidence_words(material.evidence),
        )
        if part
    )


def _introduction(material: Material) -> str:
    sets = "\n".join(
        f"- {one.use.name}: {_clips(len(one.clips))} of {_or(sorted(one.recipe.instruments_per_clip))} "
        + ("instruments, the protocol" if one.group == PROTOCOL else "instruments, natural ranges")
        + f"; the model was {'trained on this bank' if one.use.use == 'trained' else 'never trained on it'}"
        for one in material.sets
    )
    without = (
        ""
        if any(one.group == UNSEEN for one in material.sets)
        else "\n\nNo bank was named that the model never heard, so nothing is known of other sounds."
    )
    return (
        "Every clip is rendered with its stems, and a map is made for every instrument that is there, found "
        f"or not:\n\n{sets}{without}\n\n"
        f"- *Mass accuracy*: the part of the positive relevance that lies on the instrument's own share of "
        f"the cells, among those within {ACTIVE_DB:g} dB of the loudest. *Skill*: what it gains over "
        "pointing at what is loud, 0 for no gain; the true mask does not reach 1, since stems overlap.\n"
        "- *Pointing game*: in the one cell of largest relevance the instrument owns more than any other. "
        "*Lies most on its own stem*: more of its relevance than on any other's. *Rank accuracy*: of the K "
        "most relevant cells, where K are the instrument's, how many are.\n"
        "- *Shapley values*: what each stem really does to the instrument's logit, from all mixes of some of "
        "the stems; correlated with the signed relevance on each stem, all clips, instruments and stems "
        "together.\n"
        f"- *Deletion gain*: by how much the logit falls when the most relevant {percent(FRACTION)} of the "
        f"active {PATCH} x {PATCH} patches are set to the noise floor, over the fall when random ones are. "
        f"*Insertion*: the part of the logit that comes back when all active patches were deleted and the "
        f"most relevant {percent(FRACTION)} are given back.\n"
        "- *In time*: the part of the positive relevance that lies where the instrument's stem sounds. "
        "*Alike*: the similarity of two instruments' maps of a clip, 0 to 1.\n\n"
        "A map may flatter the stems while the network does something else: that is why what the stems say "
        "(skill, pointing, stems) stands beside what the network does (Shapley values, deletion, insertion)."
    )


def _example(material: Material, pictures: Collection[str]) -> str:
    name = next((name for name in pictures if name.endswith("-example.png")), None)
    example = material.example
    if name is None or example is None:
        return ""
    return (
        f"{picture(name, 'A mixture, a map, and the true mask of the same instrument')}\n\n"
        f"*Clip {example.clip_id}: {example.instrument} beside {named(example.others)}. Chosen by rule: of "
        f"the {example.n_maps:,} protocol maps of instruments that were found, the one with the median "
        f"skill, {number(example.scores.skill if example.scores.skill is not None else float('nan'), 2)} "
        f"(mass accuracy {number(example.scores.mass_accuracy, 2)}, share of energy "
        f"{number(example.scores.energy_share, 2)}).*"
    )


def _figures(material: Material) -> str:
    groups = list(material.figures)
    rows = [
        (words, *(with_interval(getattr(material.figures[group], field)) for group in groups))
        for field, words in _MEASURES
    ]
    rows.append(("maps, clips", *(_counts(material.figures[group]) for group in groups)))
    text = table(("measure", *groups), rows)
    several = [one for one in material.sets if one.group == UNSEEN]
    if len(several) > 1:
        text += "\n\n" + table(
            (
                "bank",
                "clips",
                "found",
                "skill",
                "pointing",
                "own stem",
                "Shapley correlation",
                "deletion gain",
            ),
            [
                (
                    one.use.name,
                    f"{figures.n_clips:,}",
                    number(figures.coverage.value, 2),
                    with_interval(figures.skill),
                    with_interval(figures.pointing),
                    with_interval(figures.own_stem),
                    with_interval(figures.shapley_correlation),
                    with_interval(figures.deletion_gain),
                )
                for one in several
                for figures in (material.of_banks[one.use.name],)
            ],
        )
    return text


def _heading(material: Material, name: str, place: int) -> str:
    if len(material.rows) == 1:
        return ""
    return f"#### {name}{', the model of this report' if place == 0 else ''}\n\n"


def _clips(n: int) -> str:
    return f"{n:,} clip{'s' if n != 1 else ''}"


def _counts(figures: MapFigures) -> str:
    return f"{figures.n_maps:,}, {figures.n_clips:,}"


def _or(numbers: Sequence[int]) -> str:
    words = [str(each) for each in numbers]
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
