"""Occurrence tables: how often each label, and each number of labels, occurs in a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ml.dataset.shards import ShardRecord
from ml.synthesis.plan import SPLITS


@dataclass(frozen=True)
class Occurrences:
    """Clips by label and by number of labels, for each split.

    `per_instrument[split][name]` and `per_n_instruments[split][n]` count clips.
    """

    per_instrument: dict[str, dict[str, int]]
    per_n_instruments: dict[str, dict[int, int]]

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Occurrences:
        """Read back what `asdict` and JSON made of the tables."""
        by_number = {
            split: {int(number): count for number, count in counts.items()}
            for split, counts in fields["per_n_instruments"].items()
        }
        return Occurrences(fields["per_instrument"], by_number)

    def markdown(self, title: str) -> str:
        """The tables for people."""
        lines = [f"# {title}", "", f"| clips with | {' | '.join(SPLITS)} |", f"|---|{'---:|' * len(SPLITS)}"]
        for name in self.per_instrument[SPLITS[0]]:
            counts = [str(self.per_instrument[split][name]) for split in SPLITS]
            lines.append(f"| {name} | {' | '.join(counts)} |")
        for number in sorted({n for counts in self.per_n_instruments.values() for n in counts}):
            counts = [str(self.per_n_instruments[split].get(number, 0)) for split in SPLITS]
            lines.append(f"| {number} at once | {' | '.join(counts)} |")
        return "\n".join(lines) + "\n"


def count_occurrences(shards: Iterable[ShardRecord], labels: Sequence[str]) -> Occurrences:
    """Count clips by label and by number of labels, for each split.

    Parameters
    ----------
    shards : iterable of ShardRecord
    labels : sequence of str
        In the order to count them in; one that never occurs counts 0.

    Returns
    -------
    Occurrences
    """
    by_label: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    by_number: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    for shard in shards:
        for of_clip in shard.labels:
            by_label[shard.split].update(set(of_clip))
            by_number[shard.split][len(set(of_clip))] += 1
    return Occurrences(
        {split: {name: by_label[split][place] for place, name in enumerate(labels)} for split in SPLITS},
        {split: dict(sorted(by_number[split].items())) for split in SPLITS},
    )
