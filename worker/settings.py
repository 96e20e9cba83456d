"""Settings of everything that touches jobs, read from `TIMBRESCOPE_*` environment variables.

Conventions: durations in seconds, sizes in bytes. `SharedSettings` is what the API and the workers must
agree on; `WorkerSettings` adds what only a machine that computes needs to know.
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml.media import MediaLimits
from ml.sandbox import SandboxLimits
from ml.sandbox.limits import memory_needed
from worker.logs import LogFormat
from worker.places import normal_root

DAY_S = 86_400
WEEK_S = 7 * DAY_S

# A task may overrun its hard limit by the time it takes to notice and to kill the process. Only past this
# slack is it safe for the broker to hand the same message to someone else.
VISIBILITY_SLACK_S = 60

LEAST_DECODER_BYTES = 1_000_000_000
# How many may want the processor that a recording is being read on. Its time is over before the attempt's.
DECODER_RIVALS = 10
DECODER_SHARE_OF_ATTEMPT = 0.8


def default_state_dir() -> Path:
    """The XDG state folder of Timbrescope, usually `~/.local/state/timbrescope`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "timbrescope"


def shipped_models_dir() -> Path:
    """The folder of checkpoints that come with the program."""
    return Path(str(files("ml"))) / "checkpoints"


class SharedSettings(BaseSettings):
    """What the API and every worker must agree on."""

    model_config = SettingsConfigDict(env_prefix="TIMBRESCOPE_", env_ignore_empty=True, frozen=True)

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Where jobs live: redis://, rediss:// or unix:///path."
    )
    state_dir: Path = Field(
        default_factory=default_state_dir, description="Folder for keys, logs and the private Redis of `up`."
    )
    redis_fsync: Literal["always", "everysec"] = Field(
        "always",
        description="When the private Redis of `up` writes to the disk: before each answer, or every second.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged."
    )
    log_format: LogFormat = Field(
        "text", description="What a line of the log is: `key=value` pairs, or JSON."
    )
    default_model: str = Field("default", description="Model used when a request names none.")
    result_ttl_s: PositiveFloat = Field(DAY_S, description="How long a finished job and its files are kept.")
    tombstone_ttl_s: PositiveFloat = Field(
        DAY_S, description="How long a gone job still answers 410 before 404."
    )
    unfinished_ttl_s: PositiveFloat = Field(
        WEEK_S, description="After this long a job that never ended is dropped from the store."
    )
    max_upload_bytes: PositiveInt = Field(50_000_000, description="Largest recording, in bytes.")
    max_duration_s: PositiveFloat = Field(600.0, description="Longest recording, in seconds.")
    max_queued_interactive: PositiveInt = Field(1_000, description="Most jobs that may wait at once.")
    max_queued_batch: PositiveInt = Field(
        100, description="Most data sets and trainings that may wait at once."
    )
    dataset_roots: tuple[str, ...] = Field(
        (),
        description="Folders or URLs (s3://...) below which data sets may lie, as a JSON list; default: the "
        "folder `datasets` in the state folder. Workers on several machines need one that all can reach.",
    )
    result_cache: bool = Field(
        True, description="Whether the same question about the same sound is answered from an earlier result."
    )
    max_attempts: PositiveInt = Field(3, description="How often a job is started before it is given up.")
    decoder_memory_bytes: PositiveInt | None = Field(
        None,
        description="Memory (address space) of a process that reads one recording; default: what the largest "
        "allowed recording needs, at least 1,000,000,000.",
    )
    decoder_time_s: PositiveInt = Field(
        180, description="Computing time that one recording may take to be decoded or rendered, in seconds."
    )
    task_time_limit_s: PositiveInt = Field(600, description="Longest time one attempt at a job may take.")
    visibility_timeout_s: PositiveInt = Field(
        720, description="After this long without an answer the broker gives a job to another worker."
    )

    @property
    def media_limits(self) -> MediaLimits:
        """The bounds that every uploaded recording is held to."""
        return MediaLimits(max_bytes=self.max_upload_bytes, max_duration_s=self.max_duration_s)

    @property
    def decoder_limits(self) -> SandboxLimits:
        """The bounds of a process that reads one recording; on the clock it may take some rivalry longer."""
        memory_bytes = self.decoder_memory_bytes or max(LEAST_DECODER_BYTES, memory_needed(self.media_limits))
        most_s = DECODER_SHARE_OF_ATTEMPT * self.task_time_limit_s
        wall_s = min(DECODER_RIVALS * self.decoder_time_s, most_s)
        return SandboxLimits(memory_bytes, self.decoder_time_s, wall_s)

    @property
    def dataset_places(self) -> tuple[str, ...]:
        """The roots below which data sets may lie; the first is where they go by default."""
        return self.dataset_roots or (str((self.state_dir / "datasets").absolute()),)

    @field_validator("dataset_roots")
    @classmethod
    def _roots_are_normal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normal_root(root) for root in value)

    @model_validator(mode="after")
    def _no_task_outlives_its_message(self) -> Self:
        least_s = self.task_time_limit_s + VISIBILITY_SLACK_S
        if self.visibility_timeout_s <= least_s:
            raise ValueError(
                f"TIMBRESCOPE_VISIBILITY_TIMEOUT_S is {self.visibility_timeout_s} s; with a task time limit "
                f"of {self.task_time_limit_s} s it has to exceed {least_s} s, or a long job would run twice."
            )
        return self


class WorkerSettings(SharedSettings):
    """Settings of a machine that computes."""

    models_dir: Path = Field(
        default_factory=shipped_models_dir, description="Folder of model folders that this worker serves."
    )
    models_url: str | None = Field(
        None,
        description="Folder or URL (s3://...) for the models that trainings make; default: the folder "
        "`models` in the state folder. Workers on several machines need one that all can reach.",
    )
    soundfont: str | None = Field(
        None, description="General MIDI SoundFont for MIDI uploads; default: the system's."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where networks run; auto: CUDA if present."
    )
    concurrency: PositiveInt = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1),
        description="Worker processes, each with its own model.",
    )
    threads: PositiveInt = Field(1, description="Computing threads of each worker process.")
    training_piece_s: PositiveFloat = Field(
        15.0, description="How long a training keeps a process busy before others get their turn."
    )
    queues: tuple[Literal["interactive", "batch"], ...] = Field(
        ("interactive", "batch"), description="Queues that this worker serves, as a JSON list."
    )

    @model_validator(mode="after")
    def _no_piece_outlives_its_task(self) -> Self:
        most_s = self.task_time_limit_s / 2  # a piece ends with a step or an epoch, which takes its time too
        if self.training_piece_s > most_s:
            raise ValueError(
                f"TIMBRESCOPE_TRAINING_PIECE_S is {self.training_piece_s:g} s; with a task time limit of "
                f"{self.task_time_limit_s} s it may be {most_s:g} s at most."
            )
        return self

    @property
    def models_place(self) -> str:
        """Where the models that trainings make are kept."""
        return self.models_url or str((self.state_dir / "models").absolute())

    @property
    def model_cache(self) -> Path:
        """Where this machine keeps copies of models that lie elsewhere."""
        return self.state_dir / "model-cache"
