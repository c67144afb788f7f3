"""The `schema_registry:` section: a registry that is there already, or where the `registry` role serves one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from towpath.config.connections import Settings, http_url
from towpath.config.secret import Secret, refuse


class SchemaRegistry(Settings):
    """Where schemas are registered and asked for; without a `url` at the `registry` role, which listens at `host` and `port`."""

    url: Annotated[str, AfterValidator(http_url)] | None = Field(default=None, description="any registry that speaks Confluent's REST API")
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = Field(default=None, description="where the registry's certificate is not from a public authority")
    auto_register: bool = Field(default=True, description="false: the roles look their schemas up, and only `towpath schemas push` registers")
    host: str = "127.0.0.1"
    port: int = Field(default=8081, ge=1, le=65535)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise refuse("username and password go together; give both or none")
        if self.url is None and (self.username is not None or self.ca_file is not None):
            raise refuse("username and ca_file are for a registry at `url`; name it, or leave them out")
        return self

    @property
    def is_own(self) -> bool:
        """Whether the `registry` role is the registry."""
        return self.url is None

    @property
    def address(self) -> str:
        """Return where the registry is reached from here."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - what it listens on, and where it is reached
        return self.url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def within(self, folder: Path) -> Self:
        """Return the same settings with a relative `ca_file` taken from `folder`."""
        return self.model_copy(update={"ca_file": self.ca_file and folder / self.ca_file.expanduser()})
