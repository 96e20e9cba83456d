"""Suites: what they hear, what they refuse, what they say is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.checkpoint import SHIPPED_MODELS, ModelCard, SoundSource, read_card
from ml.errors import InvalidRequestError
from ml.evaluation.clips import PlannedClip
from ml.evaluation.real_notes import NotesClip
from ml.evaluation.sounds import MissingSoundsError, SoundsFolder
from ml.evaluation.suites.banks import BanksSuite
from ml.evaluation.suites.fresh import own_seed, use_of
from ml.evaluation.suites.notes import NotesSuite
from ml.evaluation.suites.phrases import PhrasesSuite
from ml.evaluation.suites.protocol import ProtocolSuite
from ml.evaluation.suites.recipes import RecipesSuite
from ml.evaluation.suites.recordings import RecordingsSuite
from ml.evaluation.suites.registry import NAMED, SUITES, suites_named
from ml.evaluation.suites.similar import GROUPS, SimilarSuite
from ml.evaluation.suites.suite import Request
from ml.instruments import INSTRUMENTS, instruments_named
from ml.synthesis.recipe import Recipe, read_recipe
from ml.synthesis.soundfonts import Bank, find_bank

WINDS = {"Piccolo", "Trumpet", "Soprano Sax"}


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(SHIPPED_MODELS / "default")


def planned(clips: tuple[object, ...]) -> list[PlannedClip]:
    found = [clip for clip in clips if isinstance(clip, PlannedClip)]
    assert len(found) == len(clips)
    return found


def test_the_protocol_is_that_of_the_committed_recipe(card: ModelCard) -> None:
    (clip_set,) = ProtocolSuite().clip_sets(Request(card, n_clips=5, seed=1))
    recipe = read_recipe(Path("recipes/protocol.yaml")).model_copy(update={"n_clips": 5, "seed": 1})
    (by_recipe,) = RecipesSuite().clip_sets(Request(card, n_clips=5, seed=1, recipes=(recipe,)))
    assert [clip.plan for clip in planned(clip_set.clips)] == [clip.plan for clip in planned(by_recipe.clips)]


def test_the_seed_of_the_training_is_refused(card: ModelCard) -> None:
    trained = card.model_copy(update={"dataset": {"recipe": {"seed": 9}}})
    with pytest.raises(InvalidRequestError, match="Seed 9 is that of the model's training data"):
        ProtocolSuite().clip_sets(Request(trained, n_clips=5, seed=9))


def test_a_model_without_a_data_sets_recipe_can_be_tested(card: ModelCard) -> None:
    imported = card.model_copy(update={"dataset": {"recipe": None}})
    assert ProtocolSuite().clip_sets(Request(imported, n_clips=1, seed=9))


def test_a_model_that_lacks_an_instrument_is_refused(card: ModelCard) -> None:
    small = card.model_copy(update={"labels": ("Piccolo", "Trumpet")})
    with pytest.raises(InvalidRequestError, match="has no label for Acoustic Grand Piano"):
        ProtocolSuite().clip_sets(Request(small, n_clips=5, seed=1))


def test_a_bank_is_known_by_its_hash_and_by_its_name(card: ModelCard, sounds: SoundsFolder) -> None:
    fluid = find_bank("FluidR3_GM")
    assert use_of(fluid, card).known_by == "hash"
    winds = next(bank for bank in sounds.banks() if bank.name == "Winds")
    assert (use_of(winds, card).use, use_of(winds, card).known_by) == ("unseen", "")
    assert use_of(Bank("fluidr3-gm", winds.path), card).known_by == "name"
    heard_it = SoundSource(name="Whatever", sha256=winds.sha256(), licence="MIT")
    assert use_of(winds, card.model_copy(update={"sounds": (heard_it,)})).use == "trained"


def test_banks_play_alone_what_they_have_in_natural_ranges(card: ModelCard, sounds: SoundsFolder) -> None:
    trumpets, winds = BanksSuite().clip_sets(Request(card, n_clips=30, seed=1, sounds=sounds))
    assert (trumpets.name, winds.name) == ("bank Trumpets", "bank Winds")
    assert {name for clip in winds.clips for name in clip.playing} == WINDS
    assert {len(clip.playing) for clip in winds.clips} == {1, 2, 3}
    assert {clip.playing for clip in trumpets.clips} == {frozenset({"Trumpet"})}
    for clip in planned(winds.clips):
        for stem in clip.plan.stems:
            (instrument,) = instruments_named([stem.instrument])
            pitches = [note.pitch for note in stem.notes]
            assert instrument.lowest_pitch <= min(pitches) <= max(pitches) <= instrument.highest_pitch
            assert clip.banks[stem.soundfont].name == "Winds"


def test_banks_do_not_all_play_the_same_notes(card: ModelCard) -> None:
    assert own_seed(1, "Winds") == own_seed(1, "Winds")
    assert len({own_seed(1, "Winds"), own_seed(1, "Trumpets"), own_seed(2, "Winds")}) == 3


def test_similar_instruments_play_in_every_subset_equally_often(
    card: ModelCard, sounds: SoundsFolder
) -> None:
    sets = SimilarSuite().clip_sets(Request(card, n_clips=14, seed=1, sounds=sounds))
    assert [one.name for one in sets] == [
        *(f"similar {group} FluidR3_GM" for group in GROUPS),
        "similar winds Winds",  # the other bank lacks every group
    ]
    playing = [clip.playing for clip in sets[1].clips]
    assert len(set(playing)) == 7
    assert {playing.count(subset) for subset in playing} == {2}
    assert frozenset().union(*playing) == WINDS


def test_groups_are_of_the_vocabulary() -> None:
    names = {instrument.name for instrument in INSTRUMENTS}
    assert {name for group in GROUPS.values() for name in group} <= names


def test_notes_of_the_models_instruments_become_melodies_and_mixes(
    card: ModelCard, sounds: SoundsFolder
) -> None:
    request = Request(card, n_clips=6, seed=1, sounds=sounds)
    piano, celesta, mixes = NotesSuite().clip_sets(request)
    assert (piano.name, piano.measure, len(piano.clips)) == ("real notes Acoustic Grand Piano", "top-1", 6)
    assert {clip.playing for clip in celesta.clips} == {frozenset({"Celesta"})}
    assert {clip.playing for clip in mixes.clips} == {frozenset({"Acoustic Grand Piano", "Celesta"})}
    again = NotesSuite().clip_sets(request)
    other = NotesSuite().clip_sets(Request(card, n_clips=6, seed=2, sounds=sounds))
    assert again[0] == piano != other[0]
    assert all(isinstance(clip, NotesClip) for clip in (*piano.clips, *mixes.clips))


def test_phrases_and_recordings_are_all_of_them(card: ModelCard, sounds: SoundsFolder) -> None:
    request = Request(card, n_clips=1, seed=1, sounds=sounds)
    (phrases,) = PhrasesSuite().clip_sets(request)
    assert [clip.clip_id for clip in phrases.clips] == ["Orchestra 000", "Trumpet 000", "Trumpet 001"]
    assert [set(clip.playing) for clip in phrases.clips] == [set(), {"Trumpet"}, {"Trumpet"}]
    (recordings,) = RecordingsSuite().clip_sets(request)
    assert [clip.clip_id for clip in recordings.clips] == ["A little waltz"]


@pytest.mark.parametrize("suite", [BanksSuite(), NotesSuite(), PhrasesSuite(), RecordingsSuite()])
def test_what_is_missing_is_named(
    card: ModelCard, tmp_path: Path, suite: BanksSuite | NotesSuite | PhrasesSuite | RecordingsSuite
) -> None:
    with pytest.raises(MissingSoundsError, match="--sounds"):
        suite.clip_sets(Request(card, n_clips=1, seed=1))
    with pytest.raises(MissingSoundsError, match=f"nothing like (banks|real/{suite.name})/"):
        suite.clip_sets(Request(card, n_clips=1, seed=1, sounds=SoundsFolder(tmp_path)))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSoundsError, match=f"{tmp_path}/none does not exist"):
        SoundsFolder(tmp_path / "none")


def test_suites_come_in_the_reports_order() -> None:
    assert [suite.name for suite in suites_named(("notes", "protocol"))] == ["protocol", "notes"]
    everything = [suite.name for suite in suites_named(("all",))]
    assert everything == [suite.name for suite in SUITES if suite.name not in NAMED]
    with pytest.raises(InvalidRequestError, match="There is no suite 'bank'; there are protocol"):
        suites_named(("bank",))


def test_the_recipes_suite_needs_a_recipe(card: ModelCard) -> None:
    with pytest.raises(InvalidRequestError, match="--recipe"):
        RecipesSuite().clip_sets(Request(card, n_clips=1, seed=1))
    recipe = Recipe(name="mine", n_clips=3)
    (clip_set,) = RecipesSuite().clip_sets(Request(card, n_clips=2, seed=1, recipes=(recipe,)))
    assert (clip_set.name, len(clip_set.clips)) == ("mine", 2)
