"""The tables come from migrations alone, on both kinds of database; what stands in an older one stays, and a newer one is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from towpath.delivery import budgets, cursors, ledger, parking, tokens
from towpath.delivery import database as delivery
from towpath.delivery.database import make_tables, open_engine
from towpath.errors import ConfigError
from towpath.index import tables as index
from towpath.migrations.chain import DELIVERY, INDEX, Chain

CHAINS = [(DELIVERY, delivery.metadata), (INDEX, index.metadata)]
of_each = pytest.mark.parametrize(("chain", "code"), CHAINS, ids=lambda part: part.name if isinstance(part, Chain) else "")


@pytest.fixture
def engine(database: URL) -> Iterator[Engine]:
    """Give an empty database of each kind."""
    found = open_engine(database)
    yield found
    found.dispose()


def bring_up(engine: Engine, chain: Chain) -> str:
    with engine.begin() as connection:
        return chain.bring_up(connection)


def shape(engine: Engine) -> dict[str, Any]:
    """Return every table with its columns, keys and indexes, as the database itself tells them."""
    seen = sa.inspect(engine)
    names = [name for name in seen.get_table_names() if not name.endswith("_version")]
    return {
        name: (
            sorted((one["name"], str(one["type"]), one["nullable"], one["default"]) for one in seen.get_columns(name)),
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted((str(one["name"]), one["column_names"], *map(str, one.get("dialect_options", {}).values())) for one in seen.get_indexes(name)),
        )
        for name in names
    }


def test_every_table_of_the_code_is_known_here() -> None:
    kept = {ledger.effects, parking.parked, cursors.cursors, budgets.budgets, tokens.tokens}
    assert kept == set(delivery.metadata.tables.values())


@of_each
def test_the_migrations_give_exactly_the_tables_of_the_code(engine: Engine, chain: Chain, code: sa.MetaData) -> None:
    assert "" == bring_up(engine, chain)
    migrated = shape(engine)
    code.drop_all(engine)
    code.create_all(engine)
    assert shape(engine) == migrated
    assert len(migrated) == len(code.tables)


@of_each
def test_a_database_that_is_up_to_date_is_left_alone(engine: Engine, chain: Chain, code: sa.MetaData) -> None:
    bring_up(engine, chain)
    assert chain.head == bring_up(engine, chain)
    assert len(code.tables) == len(shape(engine))


@of_each
def test_the_revisions_are_one_row_from_the_first_to_the_head(chain: Chain, code: sa.MetaData) -> None:
    scripts = ScriptDirectory(str(chain.folder), version_locations=[str(chain.folder)])
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert chain.head == scripts.get_current_head() == revisions[0]
    assert sorted(revisions, reverse=True) == revisions
    assert all(table.startswith("index_") == (chain is INDEX) for table in code.tables), "both may share one database"


@of_each
def test_a_database_that_a_newer_towpath_made_is_refused_with_the_remedy(engine: Engine, chain: Chain, code: sa.MetaData) -> None:
    bring_up(engine, chain)
    with engine.begin() as connection:
        connection.execute(sa.update(chain.row).values(version_num="9999"))
    before = shape(engine)
    with pytest.raises(ConfigError, match="at 9999, made by a newer Towpath") as refused:
        bring_up(engine, chain)
    assert chain.remedy in str(refused.value)
    assert (before, True) == (shape(engine), set(code.tables) <= set(before))


def test_a_newer_database_is_refused_by_whoever_opens_it(database: URL) -> None:
    with pytest.raises(ConfigError, match="newer Towpath"):
        _opened_after(database, DELIVERY, lambda: make_tables(open_engine(database)))
    with pytest.raises(ConfigError, match="delete the index"):
        _opened_after(database, INDEX, lambda: index.open_index(database))


def _opened_after(database: URL, chain: Chain, opened: Any) -> None:  # noqa: ANN401 - what opens it
    engine = open_engine(database)
    bring_up(engine, chain)
    with engine.begin() as connection:
        connection.execute(sa.update(chain.row).values(version_num="9999"))
    engine.dispose()
    opened()


def test_a_ledger_from_before_there_were_migrations_keeps_its_rows_and_gets_what_it_lacks(engine: Engine) -> None:
    delivery.metadata.create_all(engine)
    row = dict.fromkeys(("connection", "operation", "effect_key", "state", "owner"), "x") | dict.fromkeys(
        ("leased_until", "settled_at", "updated_at"), 1.0
    )
    with engine.begin() as connection:
        connection.execute(sa.insert(ledger.effects).values(**row))
        connection.exec_driver_sql("DROP INDEX effects_by_external_id")
        tokens.tokens.drop(connection)
    before = shape(engine)
    assert "" == bring_up(engine, DELIVERY)
    with engine.begin() as connection:
        assert 1 == connection.execute(sa.select(sa.func.count()).select_from(ledger.effects)).scalar_one()
    lost = {"effects_by_external_id"} - {name for _, _, found in before.values() for name, *_ in found}
    assert {"effects_by_external_id"} == lost
    assert "tokens" in shape(engine)
    assert any(name == "effects_by_external_id" for name, *_ in shape(engine)["effects"][2])


@pytest.mark.parametrize(("layout", "kept"), [("2", 1), ("1", 0)])
def test_an_index_from_before_there_were_migrations_is_kept_where_its_layout_was_the_last_one(engine: Engine, layout: str, kept: int) -> None:
    index.metadata.create_all(engine)
    with engine.begin() as connection:
        _as_first_revision(connection)
        connection.execute(sa.insert(index.about), [{"name": "layout", "value": layout}, {"name": "cluster", "value": "c"}])
    bring_up(engine, INDEX)
    with engine.begin() as connection:
        assert [("cluster", "c")] * kept == [tuple(row) for row in connection.execute(sa.select(index.about))]


def _as_first_revision(connection: Connection) -> None:
    """Take from the index what is younger."""
    index.replays.drop(connection)
    connection.exec_driver_sql("ALTER TABLE index_closings DROP COLUMN reason")


def test_an_index_of_the_first_revision_keeps_its_rows_and_gets_what_is_younger(engine: Engine) -> None:
    bring_up(engine, INDEX)
    expected = shape(engine)
    with engine.begin() as connection:
        _as_first_revision(connection)
        connection.exec_driver_sql("INSERT INTO index_closings (dead_letter_id, at, receipt_id, outcome) VALUES ('one', 1, 'r', 'discarded')")
        connection.execute(sa.update(INDEX.row).values(version_num="0001"))
        connection.execute(sa.insert(index.about).values(name="cluster", value="c"))
    assert ("0001", expected) == (bring_up(engine, INDEX), shape(engine))
    with engine.begin() as connection:
        assert [("cluster", "c")] == [tuple(row) for row in connection.execute(sa.select(index.about))]
        assert [("one", "")] == [(row.dead_letter_id, row.reason) for row in connection.execute(sa.select(index.closings))]


def test_what_others_wrote_is_read_again_since_each_failure_is_a_dead_letter_of_its_own(engine: Engine) -> None:
    bring_up(engine, INDEX)
    tables = (index.letters, index.steps, index.positions)
    with engine.begin() as connection:
        connection.execute(sa.update(INDEX.row).values(version_num="0003"))
        for topic, hop in (("theirs", "connect"), ("dlq.erp", "sink")):
            for table in tables:
                row = {column.name: 1 if isinstance(column.type, sa.Integer) else topic for column in table.columns} | {"hop": hop}
                connection.execute(sa.insert(table), [{name: value for name, value in row.items() if name in table.c}])
    bring_up(engine, INDEX)
    with engine.begin() as connection:
        assert [["dlq.erp"]] * 3 == [list(connection.execute(sa.select(table.c.topic)).scalars()) for table in tables]


def test_many_who_open_an_empty_database_at_once_make_its_tables_once(database: URL) -> None:
    troubles: list[BaseException] = []

    def open_it() -> None:
        try:
            make_tables(open_engine(database))
        except BaseException as error:  # noqa: BLE001 - told below
            troubles.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == troubles
    engine = open_engine(database)
    assert len(delivery.metadata.tables) == len(shape(engine))
    engine.dispose()


def test_a_step_that_fails_leaves_the_database_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: object, *_arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("alembic.runtime.migration.MigrationContext.stamp", broken)
    with pytest.raises(OSError, match="disk"):
        bring_up(engine, DELIVERY)
    assert {} == shape(engine)
