"""Settings of the edge of the API: who is answered at all, and how long and how much may be in flight."""

import re
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from worker.settings import SharedSettings

_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


class EdgeSettings(SharedSettings):
    """What holds for every request, whatever it asks for."""

    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the API is reached, as a JSON list, without ports; besides these, the "
        "loopback names and `TIMBRESCOPE_HOST` are. Empty where keys are required: any.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Origins (https://example.org) whose web pages may use the API, as a JSON list; default: "
        "only the API's own pages may.",
    )
    header_timeout_s: PositiveFloat = Field(
        10.0, description="How long a request's line and headers may take to arrive."
    )
    upload_idle_s: PositiveFloat = Field(
        20.0, description="How long a request's body may pause while it arrives."
    )
    upload_timeout_s: PositiveFloat = Field(
        300.0, description="How long a request's body may take to arrive."
    )
    max_uploads: PositiveInt = Field(64, description="Most forms with recordings that are taken in at once.")
    max_request_bytes: PositiveInt = Field(
        200_000_000, description="Largest form with several recordings, in bytes."
    )
    max_connections: PositiveInt = Field(4_096, description="Most connections that may be open at once.")
    max_streams: PositiveInt = Field(
        500, description="Most streams of jobs' events that may be open at once."
    )
    max_streams_per_key: PositiveInt = Field(
        100, description="Most streams of jobs' events that may be open at once with the same API key."
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not _HOST.fullmatch(host.lower()):
                raise ValueError(f"{host!r} is not the name of a host; give it without scheme, port and path")
        return tuple(host.lower() for host in value)

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{origin!r} is not an origin such as https://example.org")
        return tuple(origin.lower() for origin in value)
