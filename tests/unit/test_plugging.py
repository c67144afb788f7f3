"""Systems outside the tree are found by a folder that is named, or by a distribution that is installed; and are forgotten again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from processors.mapping import load_model
from towpath.config.connections import system_names
from towpath.errors import ConfigError
from towpath.plugging import MAPPINGS, VARIABLE, folders, mapping_file, mapping_names, plug_in, plugged_in
from towpath.sandbox.kit.system import names

SHOPIFY = Path(__file__).parents[2] / "examples" / "shopify"


def test_a_folder_that_is_named_is_plugged_in_and_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = system_names()
    monkeypatch.setenv(VARIABLE, str(SHOPIFY))
    with plugged_in():
        assert (*sorted([*before, "shopify"]),) == system_names()
        assert "shopify" in names()
        plug_in()
    assert before == system_names()
    assert "shopify" not in names()


def test_a_plug_in_brings_its_mappings_which_stand_behind_a_merchants_own_and_those_that_ship(tmp_path: Path) -> None:
    theirs, shipped = "shopify-bng/order_placed", "magento-bng/order_placed"
    assert mapping_file(theirs) == MAPPINGS / f"{theirs}.json"
    with plugged_in(SHOPIFY):
        assert SHOPIFY / "mappings" / f"{theirs}.json" == mapping_file(theirs) == mapping_file(theirs, tmp_path)
        assert mapping_file(shipped) == MAPPINGS / f"{shipped}.json"
        assert mapping_file(shipped, tmp_path) == tmp_path / f"{shipped}.json", "a folder of one's own is in place of those that ship"
        own = tmp_path / f"{theirs}.json"
        own.parent.mkdir()
        own.touch()
        assert own == mapping_file(theirs, tmp_path)
        assert theirs in mapping_names()
        assert load_model(theirs).compiled
    assert theirs not in mapping_names()
    with pytest.raises(ConfigError, match="write it or name another mapping"):
        load_model(theirs)


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"TOWPATH_PLUGINS: there is no folder .*nowhere"):
        plug_in()


@pytest.mark.parametrize(("named", "found"), [("towpath_acme", True), ("towpath_nowhere", False)])
def test_a_distribution_names_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, *, found: bool) -> None:
    (tmp_path / "towpath_acme").mkdir()
    (tmp_path / "towpath_acme" / "__init__.py").touch()
    about = tmp_path / "towpath_acme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: towpath-acme\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[towpath.plugins]\nacme = {named}\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    if found:
        assert [tmp_path / "towpath_acme"] == folders()
    else:
        with pytest.raises(ConfigError, match=r"entry point towpath\.plugins acme names towpath_nowhere"):
            folders()
