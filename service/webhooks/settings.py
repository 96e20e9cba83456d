"""Settings of webhooks; without hosts there are none."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from service.webhooks.receivers import normal_host
from service.webhooks.signature import secrets_of
from worker.settings import SharedSettings


class WebhookSettings(SharedSettings):
    """Who may be told that a job has ended, and how that is signed."""

    webhook_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (hooks.example.org, 127.0.0.1:9000) that may be told when a job has ended, as a "
        "JSON list, with the port unless it is the scheme's own; default: none, and there are no webhooks.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="What webhooks are signed with: `whsec_` and 24 to 64 random bytes in Base64; two, "
        "separated by a space, while one replaces the other. Needed where there are hosts.",
    )

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """The bytes of the secrets."""
        return () if self.webhook_secret is None else secrets_of(self.webhook_secret.get_secret_value())

    @field_validator("webhook_hosts")
    @classmethod
    def _hosts_are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normal_host(entry) for entry in value)

    @model_validator(mode="after")
    def _messages_can_be_signed(self) -> Self:
        if self.webhook_hosts and self.webhook_secret is None:
            raise ValueError("TIMBRESCOPE_WEBHOOK_HOSTS is set, but TIMBRESCOPE_WEBHOOK_SECRET is not.")
        try:
            self.webhook_secrets  # noqa: B018
        except ValueError as error:
            raise ValueError(f"TIMBRESCOPE_WEBHOOK_SECRET cannot be used: {error}.") from error
        return self
