"""Combinations of Kafka settings that cannot work are refused before anything connects."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from towpath.kafka import KafkaSettings


def test_plain_settings_need_only_an_address() -> None:
    assert KafkaSettings(bootstrap_servers="a:1").client_config()["bootstrap.servers"] == "a:1"


def test_sasl_settings_reach_the_client_and_the_password_is_not_shown() -> None:
    given = {"bootstrap_servers": "a:1", "security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "s3cret"}
    settings = KafkaSettings.model_validate(given)
    assert settings.client_config()["sasl.password"] == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism"),
        ({"sasl_username": "u"}, "choose SASL_SSL"),
        ({"min_insync_replicas": 2}, "exceeds replication_factor"),
        ({"bootstrap_server": "a:1"}, "bootstrap_server"),
        ({"security_protocol": "TLS"}, "security_protocol"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_change(given: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        KafkaSettings.model_validate({"bootstrap_servers": "a:1"} | given)
