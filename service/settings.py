"""Settings of the API process, read from `TIMBRESCOPE_*` environment variables."""

import ipaddress
from typing import Self

from pydantic import Field, PositiveInt, SecretStr, model_validator

from service.edge.settings import EdgeSettings
from service.webhooks.settings import WebhookSettings

# As many recordings as any service may be set to take at once; a form with more is not even read.
MOST_BATCH_FILES = 256


class ServiceSettings(EdgeSettings, WebhookSettings):
    """Settings of the machine that answers HTTP."""

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port that the API listens on.")
    admin_key: SecretStr | None = Field(None, description="The first API key, of every scope.")
    require_keys: bool | None = Field(
        None,
        description="Whether every call needs an API key; default: unless the API listens on a loopback "
        "address, where alone it may be false.",
    )
    rate_per_minute: PositiveInt | None = Field(
        None,
        description="Most jobs that one API key may ask for in a minute, unless the key says another number; "
        "default: no bound.",
    )
    max_batch_files: int = Field(
        32, ge=1, le=MOST_BATCH_FILES, description="Most recordings that one request may have."
    )
    shutdown_grace_s: PositiveInt = Field(
        3, description="How long open requests may go on once the API was told to stop."
    )

    @property
    def keys_are_required(self) -> bool:
        """Whether every call needs an API key."""
        return not is_loopback(self.host) if self.require_keys is None else self.require_keys

    @model_validator(mode="after")
    def _open_to_this_machine_only(self) -> Self:
        if not self.keys_are_required and not is_loopback(self.host):
            raise ValueError(
                f"TIMBRESCOPE_REQUIRE_KEYS is false, but TIMBRESCOPE_HOST is {self.host!r}: without keys the "
                "API listens on a loopback address only."
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name other than `localhost` may lead anywhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
