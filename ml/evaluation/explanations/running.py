"""Explaining all clips, over several processes.

How closely a clip is looked at depends on its place in its group: the first `N_EXAMINED` of the protocol and
of the unseen banks are examined, the first `N_COMPARED` compared, all are scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml.evaluation.clips import PlannedClip
from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.evidence import EvidenceListener, HeardEvidence
from ml.evaluation.explanations.examining import Depth, Examiner, Findings, Task
from ml.evaluation.explanations.material import ExplainedSet
from ml.evaluation.listening import Progress
from ml.processes import Processes

N_EXAMINED, N_COMPARED = 8, 30


@dataclass(frozen=True)
class Explained:
    """What was found out.

    Attributes
    ----------
    groups : mapping of str to tuple of Findings
        By `ExplainedSet.group`, in the order of its sets' clips, those of several banks in turns.
    banks : mapping of str to tuple of Findings
        By the name of each set's bank.
    evidence : tuple of tuple of HeardEvidence
        By clip.
    """

    groups: Mapping[str, tuple[Findings, ...]]
    banks: Mapping[str, tuple[Findings, ...]]
    evidence: tuple[tuple[HeardEvidence, ...], ...]


def explain_all(
    model_folders: tuple[Path, ...],
    sets: Sequence[ExplainedSet],
    listened: Sequence[PlannedClip],
    chosen: Contender,
    contenders: tuple[Contender, ...],
    *,
    n_jobs: int = 1,
    device: str = "cpu",
    on_progress: Progress | None = None,
) -> Explained:
    """Explain every clip and listen to evidence.

    Parameters
    ----------
    model_folders : tuple of Path
        The first is the model that the report is about.
    sets : sequence of ExplainedSet
    listened : sequence of PlannedClip
        Whose evidence is listened to.
    chosen : Contender
        The method that the report is about.
    contenders : tuple of Contender
    n_jobs : int
        Processes; their number changes nothing but times.
    device : {"auto", "cpu", "cuda"}
    on_progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    Explained
    """
    ordered = _in_turns(sets)
    tasks = [Task(clip, depth) for _, clip, depth in ordered]
    # the longest first, so that no process is left alone with them at the end
    order = sorted(
        range(len(tasks)), key=lambda place: -("scored", "compared", "examined").index(tasks[place].depth)
    )
    n_clips, done = len(tasks) + len(listened), 0
    findings: dict[int, Findings] = {}
    evidence = []
    with Processes(n_jobs) as processes:
        examiner = Examiner(model_folders, chosen, contenders, device)
        for place, found in zip(
            order, processes.map(examiner, [tasks[place] for place in order]), strict=True
        ):
            findings[place] = found
            done += 1
            if on_progress is not None:
                on_progress(done, n_clips)
        listener = EvidenceListener(model_folders[0], chosen, device)
        for heard in processes.map(listener, listened):
            evidence.append(heard)
            done += 1
            if on_progress is not None:
                on_progress(done, n_clips)
    return Explained(
        groups={
            group: tuple(findings[place] for place, (one, _, _) in enumerate(ordered) if one.group == group)
            for group in dict.fromkeys(one.group for one in sets)
        },
        banks={
            one.use.name: tuple(findings[place] for place, (of, _, _) in enumerate(ordered) if of is one)
            for one in sets
        },
        evidence=tuple(evidence),
    )


def _in_turns(sets: Sequence[ExplainedSet]) -> list[tuple[ExplainedSet, PlannedClip, Depth]]:
    """Every clip with its depth: group by group, the first clip of each of its sets, then the second, ..."""
    ordered: list[tuple[ExplainedSet, PlannedClip, Depth]] = []
    for group in dict.fromkeys(one.group for one in sets):
        members = [one for one in sets if one.group == group]
        turns = sorted(
            ((place, index) for index, one in enumerate(members) for place in range(len(one.clips)))
        )
        for turn, (place, index) in enumerate(turns):
            depth: Depth = "examined" if turn < N_EXAMINED else "compared" if turn < N_COMPARED else "scored"
            ordered.append((members[index], members[index].clips[place], depth))
    return ordered
