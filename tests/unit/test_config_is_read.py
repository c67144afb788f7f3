from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from towpath.config import Config, Health, system_names
from towpath.runtime.role import ROLE_MODULES
from towpath.systems.base import system_module

ROOT = Path(__file__).parents[2]
OWN = ROOT / "towpath" / "config"
SHOWS_ONLY = ROOT / "towpath" / "cli" / "check.py"


def models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type form
    """Give the model that an annotation names, or those in its arguments, and all below them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def parsed() -> Iterator[tuple[Path, ast.Module]]:
    for package in ("towpath", "producers", "processors", "sinks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def attributes(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def read_names() -> set[str]:
    """Return the attributes that code reads: outside the configuration's own, and in those of its methods that such code calls."""
    trees = list(parsed())
    read = {name for path, tree in trees if OWN not in path.parents and path != SHOWS_ONLY for name in attributes(tree)}
    own = [node for path, tree in trees if OWN in path.parents for node in ast.walk(tree)]
    return read.union(*(attributes(node) for node in own if isinstance(node, ast.FunctionDef) and node.name in read))


def has_a_choice(annotation: Any) -> bool:  # noqa: ANN401 - a type form
    return get_origin(annotation) is not Literal or len(get_args(annotation)) > 1


def test_every_setting_is_read_by_code_that_acts_on_it() -> None:
    read = read_names()
    settings = {(model.__name__, name, has_a_choice(field.annotation)) for model in models(Config) for name, field in model.model_fields.items()}
    by_role = {f"Health.{role}" for role in ROLE_MODULES if Health(**{role: 7}).port(role) == 7}
    assert {f"{model}.{name}" for model, name, choice in settings if choice and name not in read} - by_role == set()


def test_every_credential_and_option_of_a_system_is_named_by_its_code() -> None:
    for name in system_names():
        module = system_module(name)
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert {*module.Credentials.model_fields, *module.Options.model_fields} - named == set()
