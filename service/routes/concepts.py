"""`GET /models/{model_id}/concepts` and below: what a model's channels listen to, to read, hear and see."""

import hashlib
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ml.errors import UnknownConceptError, UnknownModelError
from service.access import KNOWN_ONLY
from service.answering.files import File, FileWanted, file_answer, file_answers
from service.answering.references import rendered
from service.documents import concept_examples as examples
from service.documents.concept_schemas import AtlasDocument, ConceptDocument
from service.documents.documentation import answer, link, problems
from service.documents.examples import BEYOND_THE_END, INVALID_CHANNEL, NO_KEY, NOT_READY, STORE_UNAVAILABLE
from service.errors import problem_response
from service.services import Provided, Services
from worker.catalog import PublishedModel
from worker.errors import ModelNotFoundError
from worker.problems import Problem
from worker.questions import ModelRef
from worker.references import Reference

router = APIRouter(prefix="/models/{model_id}/concepts", tags=["models"], dependencies=[KNOWN_ONLY])

ModelId = Annotated[str, Path(description="A model's id.", examples=["default"])]
Layer = Annotated[str, Path(description="One of the atlas's layers.", examples=["features.conv5"])]
Channel = Annotated[int, Path(ge=0, description="A channel of it.", examples=[17])]

_KINDS: tuple[Literal["wav", "png"], ...] = ("wav", "png")
_ABSENT = {
    "no_key": NO_KEY,
    "model_not_found": examples.MODEL_NOT_FOUND,
    "missing_atlas": examples.MISSING_ATLAS,
    "store_unavailable": STORE_UNAVAILABLE,
    "no_worker": NOT_READY,
}
_MODEL = "$response.body#/model/id"
_FIRST = link(
    "get_concept",
    "The first of them.",
    model_id=_MODEL,
    layer="$response.body#/layers/0/layer",
    channel="$response.body#/layers/0/concepts/0/channel",
)
_STRONGEST: dict[str, Any] = {
    kind: link(
        "get_reference",
        f"Its strongest reference as {kind}.",
        model_id=_MODEL,
        layer="$response.body#/layer",
        channel="$response.body#/channel",
        name=f"0.{kind}",
    )
    for kind in _KINDS
}


@router.get(
    "",
    response_model=AtlasDocument,
    responses={
        200: answer("The concepts", AtlasDocument, examples.ATLAS, links={"concept": _FIRST}),
        **problems(**_ABSENT),
    },
    summary="List the concepts of a model",
)
def list_concepts(services: Provided, model_id: ModelId) -> dict[str, Any]:
    """What each channel of the model's last layers listens to: the atlas that comes with the model.

    A concept is named by what its references have in common, where that is pure enough to be said.
    """
    model = _model(services, model_id)
    return services.catalog.atlases.overview(model.id, model.sha256)


@router.get(
    "/{layer}/{channel}",
    response_model=ConceptDocument,
    responses={
        200: answer("The concept", ConceptDocument, examples.CONCEPT, links=_STRONGEST),
        **problems(**_ABSENT, unknown_concept=examples.UNKNOWN_CONCEPT, invalid=INVALID_CHANNEL),
    },
    summary="Look at a concept",
)
def get_concept(services: Provided, model_id: ModelId, layer: Layer, channel: Channel) -> dict[str, Any]:
    """The clips and moments that most use the concept, each with its notes, its sound and its picture."""
    model = _model(services, model_id)
    return services.catalog.atlases.concept(model.id, model.sha256, layer, channel)


@router.get(
    "/{layer}/{channel}/references/{name}",
    response_class=Response,
    responses={
        **file_answers({"audio/wav": "RIFF...", "image/png": None}, "The sound, or the picture"),
        **problems(
            **_ABSENT,
            unknown_reference=examples.UNKNOWN_REFERENCE,
            still_rendering=examples.STILL_RENDERING,
            many_references=examples.MANY_REFERENCES,
            beyond_the_end=BEYOND_THE_END,
            invalid=INVALID_CHANNEL,
        ),
    },
    summary="Hear or see what a concept listens to",
)
async def get_reference(
    services: Provided,
    *,
    model_id: ModelId,
    layer: Layer,
    channel: Channel,
    name: Annotated[
        str, Path(description="The reference and the kind of file.", examples=["0.wav", "0.png"])
    ],
    asked: FileWanted,
) -> Response:
    """What the concept sees of a reference clip: its sound as `wav`, its spectrogram as `png`.

    It is rendered when it is first asked for, and kept for a while. Only a few wait to be rendered at a time:
    beyond, the answer is 503 at once, and `Retry-After` says when to come again.
    """
    wanted, kind = await run_in_threadpool(_wanted, services, model_id, layer, channel, name)
    found = await rendered(services, wanted)
    if isinstance(found, Problem):
        return problem_response(found)
    data, media_type = (found.wav, "audio/wav") if kind == "wav" else (found.png, "image/png")

    def read(start: int, end: int) -> bytes:
        return data[start:end]

    return file_answer(asked, File(media_type, len(data), hashlib.sha256(data).hexdigest(), read))


def _model(services: Services, model_id: str) -> PublishedModel:
    try:
        return services.catalog.model(model_id)
    except UnknownModelError as error:
        raise ModelNotFoundError(str(error), extra=error.extra) from error


def _wanted(
    services: Services, model_id: str, layer: str, channel: int, name: str
) -> tuple[Reference, Literal["wav", "png"]]:
    """The reference and the kind of file that a path names."""
    model = _model(services, model_id)
    concept = services.catalog.atlases.concept(model.id, model.sha256, layer, channel)
    known = {
        f"{reference['reference']}.{kind}": (reference["reference"], kind)
        for reference in concept["references"]
        for kind in _KINDS
    }
    if name not in known:
        raise UnknownConceptError(
            f"Channel {channel} of {layer} has no reference {name[:100]!r}.",
            extra={"unknown": name, "available": list(known)},
        )
    place, kind = known[name]
    return Reference(ModelRef(model.id, model.sha256, model.version), layer, channel, place), kind
