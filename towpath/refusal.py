"""Why brokers refuse a client, told by the setting to change."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException

from towpath.errors import ConfigError

log = logging.getLogger(__name__)


class Refusal:
    """A client's error callback, which librdkafka calls from poll, flush and consume.

    `reason` is why the brokers refuse the client, with the setting to change; None until they do. `last` is what went wrong last, whatever it
    was. `config` is what the client was made with; its password is never told.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self.reason: str | None = None
        self.last = ""
        self._config = config

    def __call__(self, error: KafkaError) -> None:
        """Take note of an error."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka names its own errors so; it adds nothing to the one before
            return
        self.last = error.str().partition(" (after ")[0]
        reason = self._explained(error.code())
        if reason and reason != self.reason:
            log.error("%s", reason)
        self.reason = reason or self.reason

    def _explained(self, code: int) -> str | None:
        servers, what = self._config.get("bootstrap.servers"), self.last.partition(": ")[2] or self.last
        if code == KafkaError._AUTHENTICATION:  # noqa: SLF001
            mechanism, user = self._config.get("sasl.mechanism"), self._config.get("sasl.username")
            if "mechanism handshake failed" in what:
                return f"kafka.sasl_mechanism: {servers} does not take {mechanism}: {what}"
            return f"kafka.sasl_username, kafka.sasl_password: {servers} refuses the user {user} with this password: {what}"
        if code == KafkaError._SSL and "verif" in what:  # noqa: SLF001
            trusted = self._config.get("ssl.ca.location", "this system's certificates")
            return f"kafka.ssl_ca_location: the certificate of {servers} cannot be verified with {trusted}, or is for another name: {what}"
        if code == KafkaError._SSL:  # noqa: SLF001
            return f"kafka.security_protocol, kafka.ssl_*: TLS with {servers}: {what}"
        return None


def as_config_error(error: KafkaException, config: Mapping[str, object]) -> ConfigError:
    """Return the error of a client that cannot be made with `config`: a certificate or key that is missing or none, by its setting."""
    text = error.args[0].str()
    if named := re.search(r"\bssl\.[a-z]+\.location\b", text):
        return ConfigError(f"kafka.{named[0].replace('.', '_')}: {config.get(named[0])} cannot be used: {text}")
    return ConfigError(f"kafka: {text}")
