"""Building an atlas: the reference set is made and listened to, channels are looked for, measured and named.

The atlas is a function of the model's weights, the recipe and the method: the same for any number of
processes, on one kind of machine with the same versions of the libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from ml.concepts.atlas import Atlas
from ml.concepts.clip_record import ClipRecord
from ml.concepts.describing import N_REFERENCES, Describer, SearchedLayer
from ml.concepts.listener import Asked, Listener, all_moments, all_peaks
from ml.concepts.moments import ONSET_S, RELEASE_S, base_counts
from ml.concepts.naming import MEASURED_SHARE, MIN_MEASURED, MIN_PURITY, N_MEASURED, SIGNIFICANCE, BaseRates
from ml.concepts.recipe import DEFAULT_CLIPS, DEFAULT_SEED, reference_recipe
from ml.concepts.search import Found, strongest
from ml.dataset.versions import synthesis_versions
from ml.errors import InvalidRequestError
from ml.model import load_model
from ml.processes import Processes
from ml.relevance.engine import check_layer, choose_engine, concept_layers
from ml.relevance.layer_relevance import Start
from ml.relevance.methods import method_named
from ml.synthesis.bank_check import check_banks
from ml.synthesis.instantiate import instantiate
from ml.synthesis.plan import ClipPlan
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT

N_LAYERS = 2  # the deepest convolutions; those before respond to edges and spots

Progress = Callable[[int, int], None]  # (clips done, clips in all); may raise to stop


def build_atlas(
    folder: Path,
    *,
    n_clips: int = DEFAULT_CLIPS,
    seed: int = DEFAULT_SEED,
    layers: Sequence[str] | None = None,
    method: str | None = None,
    n_jobs: int = 1,
    device: str = "cpu",
    on_progress: Progress | None = None,
) -> Atlas:
    """Build the atlas of a model.

    Parameters
    ----------
    folder : Path
        The model's folder; nothing is written.
    n_clips : int
        Size of the reference set.
    seed : int
        Of the reference set.
    layers : sequence of str, optional
        Whose channels to look for; by default the last two convolutions.
    method : str, optional
        By which relevance is computed; by default the default one.
    n_jobs : int
        Processes that render and listen.
    device : {"auto", "cpu", "cuda"}
    on_progress : callable, optional
        Called with (clips done, clips in all) after every clip; each clip is listened to twice.

    Returns
    -------
    Atlas

    Raises
    ------
    InvalidRequestError
        When a number is out of range, the model takes another sample rate than synthesis has, none of its
        labels can be synthesised, or there is no such method or layer, or its network is none that the
        direct engine covers.
    SystemDependencyError
        When FluidSynth or the SoundFont is missing.
    """
    chosen = method_named(method)
    model = load_model(folder, device)
    choose_engine(model, "direct")
    if model.sample_rate_hz != SAMPLE_RATE_HZ:
        raise InvalidRequestError(
            f"Model {model.card.id} takes {model.sample_rate_hz} Hz; clips are made at {SAMPLE_RATE_HZ} Hz."
        )
    names = tuple(layers) if layers is not None else concept_layers(model)[-N_LAYERS:]
    for layer in names:
        check_layer(model, layer)
    recipe = reference_recipe(model.card, n_clips, seed)
    bank = check_banks(recipe)[DEFAULT_SOUNDFONT]
    players = {instrument.name: instrument for instrument in recipe.vocabulary}
    plans = tuple(instantiate(recipe))
    listener = Listener(folder, model.card.sha256, device, chosen.name, names, DEFAULT_SOUNDFONT)
    searched = _listen(listener, plans, n_jobs, on_progress)
    n_channels = sum(len(layer.found) for layer in searched)
    rates = BaseRates(base_counts(plans, players), n_channels)
    describer = Describer(plans, players, rates)
    records = tuple(describer.layer(model, layer) for layer in searched)
    shown = sorted({each.clip for layer in records for one in layer.concepts for each in one.references})
    return Atlas(
        model_sha256=model.card.sha256,
        method=chosen.name,
        recipe=recipe.model_dump(mode="json"),
        recipe_sha256=recipe.digest,
        soundfont=DEFAULT_SOUNDFONT,
        soundfont_sha256=bank.sha256(),
        versions=synthesis_versions() | {"torch": version("torch")},
        left_out=tuple(label for label in model.card.labels if label not in players),
        statistics={
            "n_clips": n_clips,
            "n_measured": N_MEASURED,
            "min_measured": MIN_MEASURED,
            "min_purity": MIN_PURITY,
            "significance": SIGNIFICANCE,
            "onset_s": ONSET_S,
            "release_s": RELEASE_S,
        },
        layers=records,
        clips=tuple(ClipRecord.of(clip, plans[clip]) for clip in shown),
    )


def _listen(
    listener: Listener, plans: Sequence[ClipPlan], n_jobs: int, on_progress: Progress | None
) -> tuple[SearchedLayer, ...]:
    """Find the strongest clips of every channel, and when in them it is used."""
    done, total = 0, 2 * len(plans)

    def on_clip() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    n_found = max(N_REFERENCES, min(N_MEASURED, int(MEASURED_SHARE * len(plans))))
    with Processes(n_jobs) as processes:
        by_clip = list(all_peaks(listener, plans, processes, on_clip))
        peaks = {layer: [of_clip[at] for of_clip in by_clip] for at, layer in enumerate(listener.layers)}
        found = {
            layer: tuple(strongest(each, channel, n_found) for channel in range(len(each[0].relevance)))
            for layer, each in peaks.items()
        }
        wanted = _by_clip(found)
        clips = sorted(wanted)
        total = len(plans) + len(clips)
        asked = [Asked(plans[clip], wanted[clip]) for clip in clips]
        moments_s: dict[str, dict[tuple[int, int], float]] = {layer: {} for layer in listener.layers}
        for clip, answer in zip(clips, all_moments(listener, asked, processes, on_clip), strict=True):
            for layer, times_s in answer.items():
                for start, time_s in zip(wanted[clip][layer], times_s, strict=True):
                    moments_s[layer][start.channel, clip] = time_s
    return tuple(
        SearchedLayer(layer, tuple(peaks[layer]), found[layer], moments_s[layer]) for layer in listener.layers
    )


def _by_clip(found: Mapping[str, Sequence[Sequence[Found]]]) -> dict[int, dict[str, list[Start]]]:
    """What was found, clip by clip and layer by layer."""
    by_clip: dict[int, dict[str, list[Start]]] = {}
    for layer, channels in found.items():
        for channel, references in enumerate(channels):
            for each in references:
                starts = by_clip.setdefault(each.clip, {}).setdefault(layer, [])
                starts.append(Start(channel, each.row, each.column, each.relevance))
    return by_clip
