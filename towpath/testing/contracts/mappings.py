"""What every mapping promises: samples beside it say what it maps, refuses and skips, it does to each what they say, and its target can do it."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest

from processors.mapping import Model, Skipped
from sinks.role import find_target
from towpath.codec import default_codec
from towpath.delivery.mending import event_of_json
from towpath.errors import DataError
from towpath.events import Event
from towpath.flows import ends_of
from towpath.plugging import SAMPLES, names_in

Sample = dict[str, Any]


class MappingContract:
    """The promises of a folder's mappings."""

    folder: ClassVar[Path]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have a test of a mapping run for each of them, and one of a sample for each of those."""
        names = names_in(self.folder)
        if "sample" in metafunc.fixturenames:
            cases = [(name, sample) for name in names for sample in samples_of(self.folder, name)]
            metafunc.parametrize(("model", "sample"), cases, ids=[f"{name}: {sample['name']}" for name, sample in cases])
        elif "model" in metafunc.fixturenames:
            metafunc.parametrize("model", names)

    def test_a_mapping_has_samples_with_names_of_their_own_for_what_it_maps_refuses_and_skips(self, model: str) -> None:
        samples, text = samples_of(self.folder, model), (self.folder / f"{model}.json").read_text(encoding="utf-8")
        wanted = {"expected", *(name for key, name in (("errors", "expected_error"), ("skip", "expected_skip")) if f'"key": "{key}"' in text)}
        assert len(samples) == len({sample["name"] for sample in samples})
        assert wanted == {name for sample in samples for name in sample if name.startswith("expected")}, f"write {model}{SAMPLES}"

    def test_no_samples_lie_about_without_their_mapping(self) -> None:
        assert names_in(self.folder) == sorted(str(path.relative_to(self.folder)).removesuffix(SAMPLES) for path in self.folder.rglob(f"*{SAMPLES}"))

    def test_a_sample_maps_to_what_it_says(self, model: str, sample: Sample) -> None:
        event = event_of(model, sample)
        if "expected_error" in sample:
            with pytest.raises(DataError) as caught:
                loaded(self.folder, model).apply(event, sample["flow"], sample.get("known"))
            assert sample["expected_error"] == {"field": caught.value.field}
            return
        answer = loaded(self.folder, model).apply(event, sample["flow"], sample.get("known"))
        if isinstance(answer, Skipped):
            assert sample["expected_skip"] == answer.reason
            return
        mapped = asdict(answer)
        assert sample["expected"] == {name: mapped[name] for name in ("operation", "effect_key", "document", "related")}

    def test_what_a_mapping_asks_for_is_an_operation_of_its_target(self, model: str) -> None:
        asked = {sample["expected"]["operation"] for sample in samples_of(self.folder, model) if "expected" in sample}
        assert asked
        assert asked <= set(find_target(ends_of(model)[1]).operations)


def mapping_tests(folder: Path) -> type[MappingContract]:
    """Return the suite of a folder's mappings; assign it to a name that begins with `Test`."""
    return type("TestMappings", (MappingContract,), {"folder": folder, "__doc__": f"The mappings of {folder}."})


@functools.cache
def loaded(folder: Path, model: str) -> Model:
    """Return a mapping, read once."""
    return Model(model, folder / f"{model}.json")


def samples_of(folder: Path, model: str) -> list[Sample]:
    """Return the samples beside a mapping, none where there is no such file."""
    path = folder / f"{model}{SAMPLES}"
    found: list[Sample] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


def event_of(model: str, sample: Sample) -> Event:
    """Return the sample's event as it arrives: through the wire."""
    kind = ends_of(model)[2]
    return Event(*default_codec().decode(default_codec().encode(kind, event_of_json(kind, sample["event"]).value)))
