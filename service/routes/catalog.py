"""`GET /models` and `GET /instruments`: what can be asked for."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.access import KNOWN_ONLY
from service.documents import examples
from service.documents.documentation import answer, link, problems
from service.documents.schemas import InstrumentDocument, InstrumentList, ModelList
from service.services import Provided

router = APIRouter(tags=["models"], dependencies=[KNOWN_ONLY])

_FIRST = "$response.body#/models/0/id"
_LINKS = {
    "instruments": link("list_instruments", "The instruments of the first model.", model=_FIRST),
    "concepts": link("list_concepts", "The concepts of the first model.", model_id=_FIRST),
}


@router.get(
    "/models",
    response_model=ModelList,
    responses={
        200: answer("The models", ModelList, examples.MODEL_LIST, links=_LINKS),
        **problems(
            no_key=examples.NO_KEY, no_worker=examples.NOT_READY, store_unavailable=examples.STORE_UNAVAILABLE
        ),
    },
    summary="List the models and the methods",
)
def list_models(services: Provided) -> ModelList:
    """The models that the workers serve, each with its whole card, and the methods that explain them."""
    return ModelList.of(services.catalog.models(), services.settings.default_model)


@router.get(
    "/instruments",
    response_model=InstrumentList,
    responses={
        200: answer("The instruments", InstrumentList, examples.INSTRUMENT_LIST),
        **problems(
            no_key=examples.NO_KEY,
            unknown_model=examples.UNKNOWN_MODEL,
            no_worker=examples.NOT_READY,
            store_unavailable=examples.STORE_UNAVAILABLE,
        ),
    },
    summary="List the instruments that a model knows",
)
def list_instruments(
    services: Provided,
    model: Annotated[str | None, Query(description="A model's id; by default the default model.")] = None,
) -> InstrumentList:
    """The names as they stand in results and as `instruments` of `POST /explain` takes them."""
    found = services.catalog.model(model or services.settings.default_model)
    instruments = [
        InstrumentDocument(instrument=label, threshold=found.thresholds[label]) for label in found.labels
    ]
    return InstrumentList(model=found.id, instruments=instruments)
