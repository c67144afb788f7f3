"""An operator sees which revision the databases are at, and brings them up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from towpath.cli.main import build_app
from towpath.config import load_config
from towpath.delivery.database import open_engine
from towpath.errors import ConfigError
from towpath.migrations.chain import DELIVERY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "towpath.yaml"
    file.write_text("connections: {}\n", encoding="utf-8")
    return file


def run(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["database", *arguments, "--config", str(file)])


def states(result: Result) -> list[tuple[str, str]]:
    return [(row["database"], row["state"]) for row in map(json.loads, result.stdout.splitlines())]


def test_databases_are_upgraded_once_and_then_up_to_date(file: Path) -> None:
    before = run(file, "current", "--json")
    assert (1, [("delivery", "older"), ("index", "older")]) == (before.exit_code, states(before))
    assert f"delivery: nothing to {DELIVERY.head}" in run(file, "upgrade").stdout
    assert f"delivery: at {DELIVERY.head}" in run(file, "upgrade").stdout
    after = run(file, "current", "--json")
    assert (0, [("delivery", "up to date"), ("index", "up to date")]) == (after.exit_code, states(after))
    assert "up to date" in run(file, "current").stdout


def test_a_newer_database_is_told_and_not_touched(file: Path) -> None:
    run(file, "upgrade")
    engine = open_engine(load_config(file, resolve=False).database_url())
    with engine.begin() as connection:
        connection.execute(sa.update(DELIVERY.row).values(version_num="9999"))
    engine.dispose()
    told = run(file, "current", "--json")
    assert (1, ("delivery", "newer")) == (told.exit_code, states(told)[0])
    assert isinstance(run(file, "upgrade").exception, ConfigError)


def test_what_is_no_database_is_named(file: Path) -> None:
    place = Path(str(load_config(file, resolve=False).database_url().database))
    place.parent.mkdir()
    place.write_text("no database at all, but longer than a header of SQLite's would be" * 20, encoding="utf-8")
    refused = run(file, "current").exception
    assert isinstance(refused, ConfigError)
    assert f"the delivery database sqlite:///{place}: file is not a database" in str(refused)
