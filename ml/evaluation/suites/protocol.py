"""The suite `protocol`: fresh clips of the study's protocol, played by FluidR3_GM."""

from __future__ import annotations

from collections.abc import Sequence

from ml.evaluation.clips import ClipSet
from ml.evaluation.listening import Heard
from ml.evaluation.scores import score
from ml.evaluation.sections import Section, Target
from ml.evaluation.suites.fresh import fresh_clips, use_of
from ml.evaluation.suites.scored import scored_pictures, scored_row, scored_text
from ml.evaluation.suites.suite import Request
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, find_bank

TARGET = Target(at_least=0.975, aim=0.99)
SET_NAME = "protocol"
TITLE = f"Fresh protocol clips, {DEFAULT_SOUNDFONT}"


class ProtocolSuite:
    """One to four of twelve instruments, random notes MIDI 60-72: the defaults of a recipe."""

    name = "protocol"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set."""
        return (ClipSet(SET_NAME, "macro-F1", fresh_clips(self._recipe(request), request.card)),)

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """All figures of the set."""
        scores = score(heard, request.seed)
        groups = {SET_NAME: scores}
        recipe = self._recipe(request)
        use = use_of(find_bank(DEFAULT_SOUNDFONT), request.card)
        intro = (
            "One to four of twelve instruments at once, random notes MIDI 60-72 of 0.2 to 2 s, in clips "
            f"of 5 s. The model was {'' if use.use == 'trained' else 'never '}trained on this bank."
        )
        return Section(
            name=self.name,
            title=TITLE,
            summary=(scored_row(TITLE, scores, TARGET),),
            record={"recipe": recipe.model_dump(mode="json"), "recipe_sha256": recipe.digest}
            | {"banks": [use], "scores": scores},
            text=f"{intro}\n\n{scored_text(self.name, groups)}",
            pictures=scored_pictures(self.name, groups, request.card.labels, TITLE),
            files={},
        )

    def _recipe(self, request: Request) -> Recipe:
        return Recipe(name=SET_NAME, seed=request.seed, n_clips=request.n_clips)
