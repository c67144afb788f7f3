"""An index without Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from towpath.index.tables import open_index


@pytest.fixture
def engine(database: URL) -> Iterator[Engine]:
    """Give an empty index on each kind of database."""
    found = open_index(database)
    yield found
    found.dispose()
