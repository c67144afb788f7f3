from __future__ import annotations

import pytest

from towpath.cli.up import chosen_roles
from towpath.config import Config, SchemaRegistry
from towpath.errors import ConfigError
from towpath.runtime.role import REGISTRY, ROLE_MODULES, SITE_ROLES

OWN, OTHER = Config(), Config(schema_registry=SchemaRegistry(url="https://registry.example"))


def test_every_role_runs_and_the_registry_only_where_there_is_no_other() -> None:
    assert list(ROLE_MODULES) == chosen_roles("", OWN)
    assert {REGISTRY} == set(chosen_roles("", OWN)) - set(chosen_roles("", OTHER))


def test_roles_that_are_named_run_once_and_in_that_order() -> None:
    assert ["sink", "registry"] == chosen_roles("sink, registry,sink", OWN)


def test_a_role_that_nobody_knows_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no role is called sinks; known: receiver, .*registry"):
        chosen_roles("sinks", OWN)


def test_at_a_site_those_run_that_call_its_systems() -> None:
    at_works = Config(site="works")
    assert list(SITE_ROLES) == chosen_roles("", at_works)
    assert ["receiver"] == chosen_roles("receiver", at_works)
