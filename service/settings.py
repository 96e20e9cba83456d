"""Settings of the API process, read from `TIMBRESCOPE_*` environment variables."""

from pydantic import Field, PositiveInt, SecretStr

from worker.settings import SharedSettings


class ServiceSettings(SharedSettings):
    """Settings of the machine that answers HTTP."""

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port that the API listens on.")
    admin_key: SecretStr | None = Field(None, description="The first admin key.")
    shutdown_grace_s: PositiveInt = Field(
        3, description="How long open requests may go on once the API was told to stop."
    )
