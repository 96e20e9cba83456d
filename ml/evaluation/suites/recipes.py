"""The suite `recipes`: fresh clips of any recipes, each a set of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ml.errors import InvalidRequestError
from ml.evaluation.clips import ClipSet
from ml.evaluation.listening import Heard
from ml.evaluation.scores import ClipScores, score
from ml.evaluation.sections import Section
from ml.evaluation.suites.fresh import fresh_clips, use_of
from ml.evaluation.suites.scored import scored_pictures, scored_row, scored_text
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
        scored: dict[str, ClipScores] = {}
        records, texts, pictures = {}, [], {}
        for recipe, part in zip(self._fresh(request), heard, strict=True):
            scores = scored[recipe.name] = score([part], request.seed)
            group = {recipe.name: scores}
            prefix = f"recipe-{recipe.name}"
            records[recipe.name] = {
                "recipe": recipe.model_dump(mode="json"),
                "recipe_sha256": recipe.digest,
                "banks": [use_of(bank, request.card) for bank in check_banks(recipe).values()],
                "scores": scores,
            }
            texts.append(f"### {recipe.name}\n\n{recipe.description}\n\n{scored_text(prefix, group)}")
            pictures.update(scored_pictures(prefix, group, request.card.labels, f"Recipe {recipe.name}"))
        return Section(
            name=self.name,
            title="Fresh clips of recipes",
            summary=tuple(scored_row(f"Fresh clips of {name}", scores) for name, scores in scored.items()),
            record=records,
            text="\n\n".join(texts),
            pictures=pictures,
            files={},
        )

    def _fresh(self, request: Request) -> tuple[Recipe, ...]:
        return tuple(
            recipe.model_copy(update={"n_clips": request.n_clips, "seed": request.seed})
            for recipe in request.recipes
        )
