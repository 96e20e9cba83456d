"""The suite `recipes`: fresh clips of any recipes, each a set of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ml.errors import InvalidRequestError
from ml.evaluation.clips import ClipSet
from ml.evaluation.listening import Heard
from ml.evaluation.scores import score
from ml.evaluation.sections import Section
from ml.evaluation.suites.fresh import fresh_clips, use_of
from ml.evaluation.suites.scored import ScoredSet, sets_section
from ml.evaluation.suites.suite import Request
from ml.synthesis.bank_check import check_banks
from ml.synthesis.recipe import Recipe


class RecipesSuite:
    """Whatever recipes are named."""

    name = "recipes"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set for each recipe."""
        if not request.recipes:
            raise InvalidRequestError("The suite recipes needs a recipe; name one with --recipe.")
        return tuple(
            ClipSet(recipe.name, "macro-F1", fresh_clips(recipe, request.card))
            for recipe in self._fresh(request)
        )

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """All figures of each set."""
        sets = [
            ScoredSet(
                name=recipe.name,
                kind="Fresh clips of",
                description=recipe.description,
                record={
                    "recipe": recipe.model_dump(mode="json"),
                    "recipe_sha256": recipe.digest,
                    "banks": [use_of(bank, request.card) for bank in check_banks(recipe).values()],
                },
                scores=score([part], request.seed),
            )
            for recipe, part in zip(self._fresh(request), heard, strict=True)
        ]
        return sets_section(self.name, "Fresh clips of recipes", sets, request.card.labels)

    def _fresh(self, request: Request) -> tuple[Recipe, ...]:
        return tuple(
            recipe.model_copy(update={"n_clips": request.n_clips, "seed": request.seed})
            for recipe in request.recipes
        )
