"""Every setting of the platform; the only module that reads environment variables."""

from __future__ import annotations

import json
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lake.errors import MillraceError
from orchestration.origin import LOOPBACK

PROJECT_ROOT = Path(__file__).resolve().parent.parent
STACK_FILE = "stack.json"

FIRST_DAY = date(2025, 1, 1)
FIRST_DAY_FILE = "first_day"


class SettingsError(MillraceError):
    """A setting is missing or wrong; the message says which and what to do."""


class StackFile(PydanticBaseSettingsSource):
    """The settings that a running embedded stack wrote down: ports and generated secrets."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the whole file is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of `<state_dir>/stack.json`, or nothing where no stack was ever started."""
        state = Path(self.current_state.get("state_dir") or PROJECT_ROOT / ".millrace")
        path = state / STACK_FILE
        if not path.exists():
            return {}
        values = json.loads(path.read_text())
        return {key: value for key, value in values.items() if key in self.settings_cls.model_fields}


class Settings(BaseSettings):
    """Where everything is; each field is read from `MILLRACE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_", extra="ignore")

    environment: Literal["laptop", "production"] = "laptop"
    """`laptop` runs on the embedded stack, `production` on the servers named below."""
    state_dir: Path = PROJECT_ROOT / ".millrace"
    """Where the embedded stack keeps its data, keys, logs and process ids."""

    s3_host: str = "127.0.0.1"
    s3_port: int = Field(default=9000, ge=1, le=65535)
    """Port of the embedded S3 server."""
    s3_endpoint_url: str | None = None
    """S3 endpoint; empty means the embedded server."""
    s3_endpoint_url_for_clickhouse: str | None = None
    """The same store as ClickHouse reaches it, where that differs."""
    s3_access_key: str = ""
    """Empty on a laptop: the stack makes a pair of its own."""
    s3_secret_key: SecretStr = SecretStr("")
    s3_region: str = "us-east-1"
    s3_bucket: str = "millrace"
    """Bucket of landing/, raw/, quarantine/ and manifests/."""

    clickhouse_host: str = "127.0.0.1"
    clickhouse_port: int = Field(default=8123, ge=1, le=65535)
    """ClickHouse HTTP port."""
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    """Empty on a laptop: the stack makes one of its own."""
    clickhouse_secure: bool = False
    """Speak HTTPS to ClickHouse."""

    dagster_port: int = Field(default=3000, ge=1, le=65535)
    """Port of the Dagster UI."""
    dagster_url: str | None = None
    """Address of the Dagster UI as people reach it, for links in alerts; empty means the port on this machine.
    The UI answers under its host name, and under those of this machine."""
    instance_folder: Path | None = Field(default=None, validation_alias="DAGSTER_HOME")
    """Dagster's instance folder in production, by the variable that Dagster's own processes read."""
    first_day: date | None = None
    """UTC day of received time on which partitions begin; an earlier one only adds partitions. Without it they begin on
    a laptop with the first day that the lake holds, else on 2025-01-01."""

    pseudonym_key: SecretStr | None = None
    """Key of the HMAC that replaces personal identifiers and of the quarantine's encryption."""
    retention_apply: bool = False
    """Whether the daily retention job removes what is older than the policy; otherwise it lists it."""
    alert_webhook_url: str | None = None
    """Receives a JSON POST when a run fails."""
    max_load_memory_mb: int = Field(default=512, ge=128)
    """DuckDB's memory limit for one load."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the running stack's file."""
        return init_settings, env_settings, StackFile(settings_cls)

    @field_validator("dagster_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("give the whole address, as in https://dagster.example.com")
        return value

    @property
    def dagster_hosts(self) -> frozenset[str]:
        """The names by which a browser may ask the Dagster UI."""
        public = urlsplit(self.dagster_url or "").hostname
        return LOOPBACK | {public} if public else LOOPBACK

    @property
    def s3_url(self) -> str:
        """Endpoint of the object store as this process reaches it."""
        return self.s3_endpoint_url or f"http://{self.s3_host}:{self.s3_port}"

    @property
    def s3_url_for_clickhouse(self) -> str:
        """Endpoint of the object store as ClickHouse reaches it."""
        return self.s3_endpoint_url_for_clickhouse or self.s3_url

    @property
    def clickhouse_url(self) -> str:
        """Address of ClickHouse's HTTP interface."""
        return (
            f"{'https' if self.clickhouse_secure else 'http'}://{self.clickhouse_host}:{self.clickhouse_port}"
        )

    @property
    def partitions_from(self) -> date:
        """UTC day of received time on which partitions begin."""
        return self.first_day or self.noted_first_day() or FIRST_DAY

    def noted_first_day(self) -> date | None:
        """The first day that the lake of this laptop is known to hold."""
        path = self.state_dir / FIRST_DAY_FILE
        if self.environment != "laptop" or not path.exists():
            return None
        return date.fromisoformat(path.read_text().strip())

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: the embedded stack's own, or that of production's UI and daemon.

        Raises:
            SettingsError: when production has none, or one without an instance file, which Dagster would take
                for an empty instance of its own making.
        """
        if self.environment == "laptop":
            return self.state_dir / "dagster_home"
        if self.instance_folder is None:
            raise SettingsError(
                "no Dagster instance: set DAGSTER_HOME to the folder of production's dagster.yaml"
            )
        if not (self.instance_folder / "dagster.yaml").is_file():
            raise SettingsError(f"DAGSTER_HOME={str(self.instance_folder)!r}: there is no dagster.yaml in it")
        return self.instance_folder

    @cached_property
    def secret_key(self) -> bytes:
        """The pseudonym key as bytes.

        Raises:
            SettingsError: when no key is set and no embedded stack has generated one.
        """
        if self.pseudonym_key is not None:
            return self.pseudonym_key.get_secret_value().encode()
        path = self.state_dir / "pseudonym.key"
        if self.environment == "laptop" and path.exists():
            return path.read_text().strip().encode()
        raise SettingsError(
            "no pseudonym key: set MILLRACE_PSEUDONYM_KEY (at least 32 random characters)"
            + (", or run `millrace up`, which generates one" if self.environment == "laptop" else "")
        )


def load() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: when a value is not valid; names the variable and the value.
    """
    from pydantic import ValidationError  # noqa: PLC0415  the error type is needed on failure only

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "MILLRACE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}={first.get('input')!r}: {first['msg']}") from None
