"""Asking a schema registry, ours or any other, by confluent-kafka's own client; its errors are told as ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from towpath.config import SchemaRegistry
from towpath.errors import ConfigError, DataError, RetryableError
from towpath.registry.compatibility import DEFAULT_LEVEL, against
from towpath.registry.schema import parse

SECONDS = 5.0
UNAUTHENTICATED, FORBIDDEN, CONFLICT, UNPROCESSABLE = 401, 403, 409, 422
NO_SUBJECT, NO_VERSION, NO_SCHEMA = 40401, 40402, 40403


class RegistryClient:
    """One registry; every method blocks for at most some seconds.

    Each raises ConfigError where the registry refuses us or is none, and RetryableError where it does not answer. Making it raises ConfigError
    for a certificate or password that cannot be read.
    """

    def __init__(self, settings: SchemaRegistry) -> None:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request
        self.address = settings.address
        options: dict[str, object] = {"url": self.address, "timeout": SECONDS, "max.retries": 0}
        if settings.username is not None and settings.password is not None:
            options["basic.auth.user.info"] = f"{settings.username}:{settings.password.resolve().get_secret_value()}"
        if settings.ca_file is not None:
            options["ssl.ca.location"] = str(settings.ca_file)
        try:
            self._client = SchemaRegistryClient(options)
        except OSError as error:
            raise ConfigError(f"schema_registry.ca_file: {settings.ca_file} cannot be read: {error.strerror or error}") from error

    def close(self) -> None:
        """Leave the registry."""
        self._client.close()

    def text(self, schema_id: int) -> str | None:
        """Return the JSON of a schema, None where the registry knows none of this id."""
        with self._answering(f"schema {schema_id}"):
            try:
                return self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if error.error_code == NO_SCHEMA:
                    return None
                raise

    def register(self, subject: str, text: str) -> int:
        """Return the id of a schema, which is registered where it was not; DataError with field `schema` where it may not be."""
        with self._answering(f"registering {subject}"):
            try:
                return self._client.register_schema(subject, Schema(text, "AVRO"))
            except SchemaRegistryError as error:
                if error.http_status_code in {CONFLICT, UNPROCESSABLE}:
                    raise DataError(f"registering {subject} at {self.address}: {error.error_message}", field="schema") from error
                raise

    def look_up(self, subject: str, text: str) -> RegisteredSchema | None:
        """Return the version that a schema is of its subject, None where it is none."""
        with self._answering(f"looking up {subject}"):
            try:
                return self._client.lookup_schema(subject, Schema(text, "AVRO"))
            except SchemaRegistryError as error:
                if error.error_code in {NO_SUBJECT, NO_SCHEMA}:
                    return None
                raise

    def latest(self, subject: str) -> RegisteredSchema | None:
        """Return the newest version of a subject, None where it has none."""
        with self._answering(f"reading {subject}"):
            try:
                return self._client.get_latest_version(subject)
            except SchemaRegistryError as error:
                if error.error_code in {NO_SUBJECT, NO_VERSION}:
                    return None
                raise

    def conflicts(self, subject: str, text: str) -> list[str]:
        """Return why the registry would not take a schema as the next version of its subject; empty where it would."""
        with self._answering(f"checking {subject}"):
            try:
                if self._client.test_compatibility_all_versions(subject, Schema(text, "AVRO")):
                    return []
            except SchemaRegistryError as error:
                if error.error_code in {NO_SUBJECT, NO_VERSION}:
                    return []
                if error.http_status_code == UNPROCESSABLE:
                    return [str(error.error_message)]
                raise
        return self._reasons(subject, text)

    def _reasons(self, subject: str, text: str) -> list[str]:
        """Return what our own checker has against a schema that the registry would refuse."""
        new, earlier = parse(text), {}
        with self._answering(f"reading {subject}"):
            for version in self._client.get_versions(subject):
                earlier[version] = parse(self._client.get_version(subject, version).schema.schema_str or "")
        return against(DEFAULT_LEVEL, new, earlier) or [f"{self.address} would refuse it, and does not say why"]

    @contextmanager
    def _answering(self, doing: str) -> Iterator[None]:
        try:
            yield
        except SchemaRegistryError as error:
            raise self._named(doing, error) from error
        except (httpx2.HTTPError, OSError) as error:
            raise RetryableError(f"{doing}: the schema registry at {self.address} does not answer: {error}", system_wide=True) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"schema_registry: what answers at {self.address} is no schema registry; correct the address") from error

    def _named(self, doing: str, error: SchemaRegistryError) -> ConfigError | RetryableError:
        status = error.http_status_code
        if status == UNAUTHENTICATED:
            return ConfigError(f"schema_registry: {self.address} refuses us ({status}); correct username and password")
        if status == FORBIDDEN:
            return ConfigError(f"{doing}: {self.address} does not allow it ({status}); allow it to the user, or set auto_register: false")
        if status < 500 and status not in {408, 429}:  # noqa: PLR2004 - faults of the server, and those that pass
            return ConfigError(f"{doing}: {self.address} answers {status} ({error.error_code}): {error.error_message}; is it a schema registry?")
        return RetryableError(f"{doing}: the schema registry at {self.address} answers {status}: {error.error_message}", system_wide=True)
