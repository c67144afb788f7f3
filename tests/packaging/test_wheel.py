"""The wheel carries everything the program reads while running."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_every_data_file_is_in_it(wheel: zipfile.ZipFile) -> None:
    kinds = {".avsc", ".json", ".yaml", ".sha256", ".py"}
    folders = ("towpath", "producers", "processors", "sinks", "schemas")
    data = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds}
    assert set() == data - set(wheel.namelist())
    assert {"schemas/topics.yaml", "schemas/towpath.OrderPlaced.avsc", "towpath/broker/kafka-4.1.1.sha256"} <= set(wheel.namelist())


def test_no_test_and_no_tool_is_in_it(wheel: zipfile.ZipFile) -> None:
    assert [] == [name for name in wheel.namelist() if name.split("/")[0] in {"tests", "benchmarks", "deploy", "docs", ".ci"}]


def test_it_cannot_be_uploaded_by_mistake(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    classifiers = Parser().parsestr(wheel.read(name).decode()).get_all("Classifier")
    assert "Private :: Do Not Upload" in (classifiers or [])
