"""The forms that recordings come in: their fields, each with its bounds.

Conventions: fields that do not exist, are empty, or are given twice where one value is meant, are refused, so
that a misspelt name does not silently do nothing. What depends on the model (its instruments, its layers) or
on the recording is decided in `service.submitting.submission` and `service.submitting.checks`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from fastapi import Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from ml.errors import InvalidRequestError
from ml.relevance.methods import DEFAULT_METHOD, METHODS, method_named
from service.settings import MOST_BATCH_FILES
from service.webhooks.receivers import LONGEST_URL, WEBHOOK_FIELD
from worker.questions import DEFAULT_CONCEPTS, LONGEST_EXPLAINED_S, MAX_CONCEPTS, MAX_STEMS, Parameters


class FormLimits(TypedDict, total=False):
    """Bounds of the parts of a form."""

    max_files: int
    max_fields: int
    max_part_size: int


FORM_LIMITS: FormLimits = {"max_files": 1, "max_fields": 200, "max_part_size": 4096}
# More stems than can be told apart are counted before they are refused; far more are not even read.
CHECK_LIMITS: FormLimits = {**FORM_LIMITS, "max_files": 4 * MAX_STEMS}

BATCH_LIMITS: FormLimits = {**FORM_LIMITS, "max_files": MOST_BATCH_FILES}

REPEATABLE = frozenset({"instruments", "stem", "instrument"})
REPEATABLE_IN_BATCHES = REPEATABLE | {"file"}

_FORMATS = "WAV (PCM or float), FLAC, OGG, MP3, AIFF, or a Standard MIDI File."
_FILES = f"{_FORMATS} Repeatable, a job for each; the other fields hold for all."

Name = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _AskedModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(max_length=200)] = Field(
        None, description="A model of `GET /models`; by default the default model.", examples=["default"]
    )
    # Without an example: Swagger UI would send it along, and a service without webhooks refuses it.
    webhook: Annotated[str | None, Field(max_length=LONGEST_URL)] = Field(None, description=WEBHOOK_FIELD)


class _AskedWay(_AskedModel):
    concepts: Annotated[int, Field(ge=0, le=MAX_CONCEPTS)] = Field(
        DEFAULT_CONCEPTS, description="How many concepts per instrument.", examples=[DEFAULT_CONCEPTS]
    )
    method: Name | None = Field(
        None,
        description=f"By which rules relevance is computed: {', '.join(METHODS)}. By default "
        f"{DEFAULT_METHOD}.",
        examples=[DEFAULT_METHOD],
        json_schema_extra={"enum": list(METHODS)},
    )
    layer: Name | None = Field(
        None,
        description="Whose channels are the concepts: one of the model's `layers`. By default the last one.",
        examples=["features.conv5"],
    )
    engine: Literal["direct", "zennit"] | None = Field(
        None,
        description="What computes the maps: our own engine, or zennit-crp, slower, with the same numbers. "
        "By default the direct one where it covers the model's network.",
        examples=["direct"],
    )


class ClassifyFields(_AskedModel):
    """What may be asked of a classification, besides the recording."""

    threshold: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        None,
        description="From which probability on an instrument is present; by default the model's own.",
        examples=[0.5],
    )

    def parameters(self) -> Parameters:
        """What a job makes of the fields."""
        return Parameters(threshold=self.threshold)


class ExplainFields(ClassifyFields, _AskedWay):
    """What may be asked of an explanation, besides the recording."""

    instruments: Annotated[list[Name] | None, Field(max_length=128)] = Field(
        None,
        description="What to explain, found or not; repeatable. By default every instrument found.",
        examples=[["Violin"]],
    )
    contrast: Name | None = Field(
        None,
        description="An instrument that each of them is held against: the maps then show what speaks for it "
        "rather than for this one.",
        examples=["Trumpet"],
    )
    start_s: Annotated[Seconds | None, Field(ge=0)] = Field(
        None,
        description=f"Where to begin; needed, with `duration_s`, beyond {LONGEST_EXPLAINED_S:g} s.",
        examples=[0.0],
    )
    duration_s: Annotated[Seconds | None, Field(gt=0, le=LONGEST_EXPLAINED_S)] = Field(
        None, description="How much to explain.", examples=[5.0]
    )

    def parameters(self) -> Parameters:
        """What a job makes of the fields."""
        return Parameters(
            threshold=self.threshold,
            instruments=tuple(dict.fromkeys(self.instruments)) if self.instruments else None,
            n_concepts=self.concepts,
            start_s=self.start_s,
            duration_s=self.duration_s,
            engine=self.engine,
            method=self.method,
            layer=self.layer,
            contrast=self.contrast,
        )


class ClassifyForm(ClassifyFields):
    """The fields of `POST /classify`."""

    file: UploadFile = Field(description=_FORMATS)


class ExplainForm(ExplainFields):
    """The fields of `POST /explain`."""

    file: UploadFile = Field(description=_FORMATS)


class ClassifyBatchForm(ClassifyFields):
    """The fields of `POST /classify/batch`."""

    file: list[UploadFile] = Field(description=_FILES)


class ExplainBatchForm(ExplainFields):
    """The fields of `POST /explain/batch`."""

    file: list[UploadFile] = Field(description=_FILES)


class CheckForm(_AskedWay):
    """The fields of `POST /explain/check`."""

    concepts: Annotated[int, Field(ge=0, le=MAX_CONCEPTS)] = Field(
        0, description="How many concepts per instrument.", examples=[0]
    )
    stem: list[UploadFile] = Field(
        description=f"What one instrument plays, as audio; repeatable, up to {MAX_STEMS}. All of one length "
        f"and sample rate, {LONGEST_EXPLAINED_S:g} s at most; together no larger than a recording may be."
    )
    instrument: Annotated[list[Name], Field(max_length=200)] = Field(
        description="Which of the model's instruments plays each stem, in the order of the stems. Several "
        "stems of one instrument count as one.",
        examples=[["Violin", "Trumpet"]],
    )

    def parameters(self) -> Parameters:
        """What a job makes of the fields."""
        return Parameters(n_concepts=self.concepts, engine=self.engine, method=self.method, layer=self.layer)


@dataclass(frozen=True)
class FieldsGivenOnce:
    """A dependency: refuses a field of the form that is given twice where one value is meant, or is empty.

    The framework takes an empty value for none, and an empty name would silently be the default's.
    """

    form: type[BaseModel]
    repeatable: frozenset[str] = REPEATABLE

    async def __call__(self, request: Request) -> None:
        """Raises `InvalidRequestError`, which names every such field, or `UnknownMethodError`."""
        given = (await request.form()).multi_items()
        names = [name for name, _ in given]
        faults = [
            {"field": name, "message": "This field can be given once only"}
            for name in sorted({name for name in names if names.count(name) > 1} - self.repeatable)
        ]
        known = self.form.model_fields.keys() - self.repeatable
        empty = sorted({name for name, value in given if name in known and value == ""})
        if not faults and "method" in empty:
            method_named("")
        faults += [{"field": name, "message": "This field is empty; leave it out instead"} for name in empty]
        if faults:
            sentence = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
            raise InvalidRequestError(f"{sentence}.", extra={"errors": faults})
