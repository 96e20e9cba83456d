"""The suites by name, in the order in which a report has them."""

from __future__ import annotations

from ml.errors import InvalidRequestError
from ml.evaluation.suites.banks import BanksSuite
from ml.evaluation.suites.counterfactuals import CounterfactualsSuite
from ml.evaluation.suites.datasets import DatasetsSuite
from ml.evaluation.suites.notes import NotesSuite
from ml.evaluation.suites.phrases import PhrasesSuite
from ml.evaluation.suites.protocol import ProtocolSuite
from ml.evaluation.suites.recipes import RecipesSuite
from ml.evaluation.suites.recordings import RecordingsSuite
from ml.evaluation.suites.similar import SimilarSuite
from ml.evaluation.suites.suite import Suite

ALL = "all"
SUITES: tuple[Suite, ...] = (
    ProtocolSuite(),
    RecipesSuite(),
    DatasetsSuite(),
    BanksSuite(),
    SimilarSuite(),
    NotesSuite(),
    PhrasesSuite(),
    RecordingsSuite(),
    CounterfactualsSuite(),
)
NAMED = ("recipes", "datasets")  # what they test on is named one by one


def suites_named(names: tuple[str, ...]) -> tuple[Suite, ...]:
    """Suites by name, in the report's order.

    Parameters
    ----------
    names : tuple of str
        Names of suites; ``all`` among them means every one but those of `NAMED`.

    Returns
    -------
    tuple of Suite

    Raises
    ------
    InvalidRequestError
        When a name is not a suite's.
    """
    known = [suite.name for suite in SUITES]
    unknown = [name for name in names if name not in (*known, ALL)]
    if unknown:
        raise InvalidRequestError(
            f"There is no suite {unknown[0]!r}; there are {', '.join(known)} and {ALL}.",
            extra={"unknown": unknown[0], "available": [*known, ALL]},
        )
    return tuple(
        suite for suite in SUITES if suite.name in names or (ALL in names and suite.name not in NAMED)
    )
