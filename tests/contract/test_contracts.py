"""Every promise of a source and of a target, on every system that is discovered."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("towpath.testing.contracts")

from towpath.testing.contracts import contract_tests  # noqa: E402 - what it imports is to be rewritten first

globals().update(contract_tests())
