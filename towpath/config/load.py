"""One YAML file in, one Config out, or every problem it has at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from towpath.config.across import problems_across
from towpath.config.document import Problem, read_document
from towpath.config.explain import problems_of
from towpath.config.model import Config
from towpath.config.references import parse_references
from towpath.errors import ConfigError

DEFAULT_PATH = "towpath.yaml"
PATH_VARIABLE = "TOWPATH_CONFIG"


def config_path(given: Path | None) -> Path:
    """Return the file to read: the given one, else what TOWPATH_CONFIG names, else towpath.yaml here."""
    return given or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load_config(path: Path | str, *, resolve: bool = True) -> Config:
    """Return the configuration in the file at `path`; ConfigError lists every problem with its field and remedy.

    Relative paths (data_dir, certificates, file: references) are taken from the file's own folder. With `resolve`, every secret must be there.
    """
    file = Path(path)
    document, problems = read_document(file)
    return parse_config(document, name=str(path), base=file.resolve().parent, resolve=resolve, problems=problems)


def parse_config(
    document: Mapping[str, Any], *, name: str = "the configuration", base: Path | None = None, resolve: bool = True, problems: Sequence[Problem] = ()
) -> Config:
    """Return `document` (as YAML would give it) as a Config; ConfigError lists every problem, the given ones too."""
    folder = (base or Path.cwd()).resolve()
    values, found = parse_references(document, folder, resolve=resolve)
    found.extend(problems_across(values))
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise _refusal(name, [*problems, *found, *problems_of(error, Config)]) from None
    if problems or found:
        raise _refusal(name, [*problems, *found])
    mappings = config.mappings_dir and folder / config.mappings_dir.expanduser()
    places = {"kafka": config.kafka.within(folder), "data_dir": folder / config.data_dir.expanduser(), "mappings_dir": mappings}
    places["schema_registry"] = config.schema_registry.within(folder)
    return config.model_copy(update=places)


def _refusal(name: str, problems: Sequence[Problem]) -> ConfigError:
    lines = [f"  {problem}" for problem in sorted(set(problems))]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return ConfigError("\n".join([f"{name}: {count}", *lines]))
