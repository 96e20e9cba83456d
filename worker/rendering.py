"""Rendering the references of concepts, when somebody wants to hear or see one."""

from ml.concepts.rendering import render_reference
from ml.errors import MissingAtlasError
from ml.wav import pcm_wav
from worker.errors import ModelGoneError
from worker.references import Reference, Rendered
from worker.workplace import Workplace


def render(wanted: Reference, here: Workplace) -> Rendered:
    """The reference's sound and picture.

    Raises
    ------
    TimbrescopeError
        When the model or its atlas is no longer what it was when this was asked for, or FluidSynth is
        missing.
    """
    model = here.host.model(wanted.model)
    if model.card.sha256 != wanted.model.sha256:
        raise ModelGoneError(
            f"Model {wanted.model.id!r} with the weights {wanted.model.sha256[:16]} is no longer served.",
            extra={"unknown": wanted.model.id},
        )
    atlas = here.host.atlas(model)
    if atlas is None:
        raise MissingAtlasError(f"Model {wanted.model.id!r} has no atlas of its concepts.")
    made = render_reference(model, atlas, wanted.layer, wanted.channel, wanted.place)
    return Rendered(pcm_wav(made.sound), made.png)
