from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from towpath.config import parse_config
from towpath.errors import ConfigError


def section(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    return {"schema_registry": values}


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "http://127.0.0.1:8081"),
        ({"host": "0.0.0.0", "port": 9000}, "http://127.0.0.1:9000"),  # noqa: S104 - what it listens on
        ({"host": "::"}, "http://[::1]:8081"),
        ({"host": "registry.internal"}, "http://registry.internal:8081"),
        ({"url": "https://registry.example/"}, "https://registry.example"),
    ],
)
def test_the_registry_is_reached_where_it_is(values: dict[str, Any], address: str) -> None:
    assert address == parse_config(section(**values)).schema_registry.address


def test_a_relative_certificate_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    config = parse_config(section(url="https://registry.example", ca_file="ca.pem"), base=tmp_path)
    assert tmp_path / "ca.pem" == config.schema_registry.ca_file


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a user without a password": ({"url": "https://a.example", "username": "a"}, "username and password go together"),
    "a user of our own registry": ({"username": "a", "password": "env:A"}, "are for a registry at `url`"),
    "a password in the address": ({"url": "https://a:b@registry.example"}, "must not hold a user or password"),
    "a password in the file": ({"url": "https://a.example", "username": "a", "password": "b"}, "a secret may not stand in the file itself"),
    "no address": ({"url": "registry.example"}, "must be an address that starts with http"),
}


@pytest.mark.parametrize(("values", "reason"), WRONG.values(), ids=list(WRONG))
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_config(section(**values), resolve=False)
