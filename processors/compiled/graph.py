"""Compiles a decision model whole: a chain of tables and expressions between one input and one output.

Anything else in it (a switch, two branches, a loop, a schema) raises Unsupported, and so does what a later zen adds to the format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from processors.compiled import functions
from processors.compiled.answer import LARGEST, NOTHING, AnswerGenerator, display, finished, finished_number, present, rounded_text
from processors.compiled.code import Generator, equal, literal_code
from processors.compiled.kinds import Hint, fields_of, or_null
from processors.compiled.parser import Node, Unsupported, parse, parse_cell
from processors.compiled.values import Code, Paths

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled model: `run` takes its input, which it may change, and gives its answer, finished; `reads` are the fields that it looks at.

    `run` raises functions.Unsure, or what Python raises of a wrong type, where zen must be asked for the answer or the error.
    """

    run: Callable[[dict[str, Any]], dict[str, Any]]
    reads: frozenset[str]


MODEL: Final = frozenset({"contentType", "nodes", "edges", "name", "id"})
NODE: Final = frozenset({"id", "type", "name", "content", "position"})
EDGE: Final = frozenset({"id", "type", "sourceId", "targetId"})
KINDS: Final = {
    "expressionNode": frozenset({"expressions"}),
    "decisionTableNode": frozenset({"rules", "inputs", "outputs", "hitPolicy"}),
}
"""What a node that is compiled may hold."""
TRANSFORM: Final = {"passThrough": (True, False, None), "inputField": (None, ""), "outputPath": (None, ""), "executionMode": ("single", None)}
"""How a node takes its input and gives its output, and what of that is compiled."""
PLAIN: Final = frozenset({"string", "bool", "number"})
"""Kinds of values that a field of the input is set to as they are."""
CONTENT_TYPE: Final = "application/vnd.gorules.decision"
NAMESPACE: Final = {
    **{name: thing for name, thing in vars(functions).items() if not name.startswith("_")},
    **{thing.__name__: thing for thing in (finished, finished_number, present, rounded_text)},
    "NOTHING": NOTHING,
}


def compile_model(model: Mapping[str, Any], shape: Hint = None) -> Compiled:
    """Compile a model that zen-engine takes for valid; raises Unsupported saying where and why.

    With the shape of an event, it runs for events that certainly have it, and asks less of them.
    """
    _known("the model", model, MODEL)
    if model.get("contentType", CONTENT_TYPE) != CONTENT_TYPE:
        raise Unsupported(f"it is a {model['contentType']}")
    lines = ["def run(context):"]
    reads: set[str] = set()
    nodes, fields = _chain(model), dict(fields_of(shape))
    for number, node in enumerate(nodes):
        paths = Paths(prefix=f"v{number}_", fields=fields)
        try:
            lines += [f"    {line}" for line in _node(node, paths, last=node is nodes[-1])]
        except Unsupported as error:
            raise Unsupported(f"node {node.get('name')!r}: {error}") from error
        reads |= {str(path[0]) for path in paths.names}
        fields = _left(node, fields)
    lines.append("    return context" if nodes and _gives_answer(nodes[-1]) else "    return finished(context)")
    namespace: dict[str, Any] = dict(NAMESPACE)
    try:
        exec(compile("\n".join(lines), "<mapping>", "exec"), namespace)  # noqa: S102 - our own source: names by regex, all else by repr
    except (SyntaxError, MemoryError, RecursionError, ValueError) as error:
        raise Unsupported(f"Python refuses it: {error}") from error
    return Compiled(namespace["run"], frozenset(reads))


def _known(where: str, thing: Mapping[str, Any], names: Iterable[str]) -> None:
    unknown = sorted(set(thing) - set(names))
    if unknown:
        raise Unsupported(f"{where} has {', '.join(unknown)}")


def _chain(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the nodes between input and output, in order."""
    nodes = {node["id"]: node for node in model["nodes"]}
    following: dict[str, str] = {}
    for edge in model["edges"]:
        _known("an edge", edge, EDGE)
        if edge["sourceId"] in following:
            raise Unsupported(f"node {edge['sourceId']!r} leads to two others")
        following[edge["sourceId"]] = edge["targetId"]
    inputs = [node["id"] for node in model["nodes"] if node["type"] == "inputNode"]
    order = inputs[:1]
    while order and order[-1] in following and len(order) <= len(nodes):
        order.append(following[order[-1]])
    if len(inputs) != 1 or sorted(order) != sorted(node["id"] for node in model["nodes"]) or nodes[order[-1]]["type"] != "outputNode":
        raise Unsupported("its nodes are no chain from one input to one output")
    for end in (order[0], order[-1]):
        _known(f"node {nodes[end]['name']!r}", nodes[end], NODE)
        _known(f"node {nodes[end]['name']!r}", {name: part for name, part in (nodes[end].get("content") or {}).items() if part}, ())
    return [nodes[identity] for identity in order[1:-1]]


def _node(node: Mapping[str, Any], paths: Paths, *, last: bool) -> list[str]:
    _known("it", node, NODE)
    if node["type"] not in KINDS:
        raise Unsupported(f"a {node['type']} is not compiled")
    content = node["content"]
    _known("it", content, KINDS[node["type"]] | set(TRANSFORM))
    for name, allowed in TRANSFORM.items():
        if content.get(name) not in allowed:
            raise Unsupported(f"{name} {content[name]!r} is not compiled")
    if node["type"] == "decisionTableNode":
        return _table(content, paths)
    return _answer(content, paths) if last and _gives_answer(node) else _expressions(content, paths)


def _left(node: Mapping[str, Any], fields: Mapping[str, Hint]) -> dict[str, Hint]:
    """Return the fields that are as certain after a node as before, and those that a table sets to literals of one type."""
    content = node["content"]
    if not content.get("passThrough"):
        return {}
    given = {one["key"] for one in content.get("expressions", ())} | {column["field"].strip() for column in content.get("outputs", ())}
    return {name: hint for name, hint in fields.items() if name not in given} | _typed(content, fields)


def _typed(content: Mapping[str, Any], fields: Mapping[str, Hint]) -> dict[str, Hint]:
    """Return the fields that a table adds to those of an event, set to literals of one type or not at all."""
    found = {column["field"].strip(): _type_of(column, content["rules"]) for column in content.get("outputs", ())} if fields else {}
    return {name: hint for name, hint in found.items() if hint is not None and name not in fields}


def _type_of(column: Mapping[str, str], rules: Iterable[Mapping[str, str]]) -> Hint:
    """Return the type of what a table's column gives where all of it are literals of one, or null."""
    nodes = [parse(rule.get(column["id"], "").strip() or "null") for rule in rules]
    kinds = {type(node.value) if node.kind == "literal" else Node for node in nodes} - {type(None)}
    if kinds == {str} or (kinds == {int} and all(node.value is None or abs(int(str(node.value))) < LARGEST for node in nodes)):
        return or_null(kinds.pop())
    return None


def _gives_answer(node: Mapping[str, Any]) -> bool:
    """Tell whether all that a node gives is what its expressions make."""
    return node["type"] == "expressionNode" and not node["content"].get("passThrough")


def _answer(content: Mapping[str, Any], paths: Paths) -> list[str]:
    """Return the lines of the node of expressions that makes the answer."""
    found = _parsed(content)
    generator, tree = AnswerGenerator(paths, [node for _, node in found]), dict[str, Any]()
    for key, node in found:
        _place(tree, key, _named(key, generator.finished, node))
    return [*paths.lines, f"context = {_answered(tree).source}"]


def _answered(tree: Mapping[str, Any]) -> Code:
    return display((repr(name), _answered(part) if isinstance(part, dict) else part) for name, part in tree.items())


def _expressions(content: Mapping[str, Any], paths: Paths) -> list[str]:
    """Return the lines of a node of expressions: an object of what each gives, under the path of its key."""
    tree: dict[str, Any] = {}
    generator = Generator(paths)
    for key, node in _parsed(content):
        _place(tree, key, _named(key, generator.value, node).source)
    if not content.get("passThrough"):
        return [*paths.lines, f"context = {_display(tree)}"]
    if any(isinstance(part, dict) for part in tree.values()):
        raise Unsupported("passThrough with a path for a key is not compiled")
    values = [f"{paths.prefix}k{number} = {source}" for number, source in enumerate(tree.values())]
    return [*paths.lines, *values, *(f"put(context, {key!r}, {paths.prefix}k{number})" for number, key in enumerate(tree))]


def _parsed(content: Mapping[str, Any]) -> list[tuple[str, Node]]:
    """Return the expressions of a node by their keys."""
    found = []
    for one in content["expressions"]:
        _known("an expression", one, ("id", "key", "value"))
        if one["key"] and one["value"]:
            found.append((one["key"], _named(one["key"], parse, one["value"])))
    return found


def _named(where: str, work: Callable[[Any], Made], given: object) -> Made:
    """Return what `work` makes; what it finds unsupported is told with its place."""
    try:
        return work(given)
    except Unsupported as error:
        raise Unsupported(f"{where}: {error}") from error
    except RecursionError as error:
        raise Unsupported(f"{where}: it is nested too deeply") from error


def _compiled(where: str, generator: Generator, expression: str) -> str:
    return _named(where, lambda text: generator.value(parse(text)), expression).source


def _place(tree: dict[str, Any], key: str, source: str | Code) -> None:
    *path, last = key.split(".")
    for name in path:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise Unsupported(f"{key} lies within another key")
    if last in tree:
        raise Unsupported(f"{key} stands twice, or has others within it")
    tree[last] = source


def _display(tree: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{name!r}: {_display(part) if isinstance(part, dict) else part}' for name, part in tree.items())}}}"


def _table(content: Mapping[str, Any], paths: Paths) -> list[str]:
    """Return the lines of a table that lists literals in its cells: the first row that fits sets its outputs."""
    _check_columns(content)
    generator, columns = Generator(paths), {f"{paths.prefix}in{number}": column for number, column in enumerate(content["inputs"])}
    read = [f"{name} = {_compiled('an input', generator, (column.get('field') or '').strip() or 'null')}" for name, column in columns.items()]
    rows, passes_through, typed = list[str](), bool(content.get("passThrough")), _typed(content, paths.fields)
    for rule in content["rules"]:
        tests = [test for test in (_fits(rule, column, name) for name, column in columns.items()) if test]
        rows.append(f"{'el' if rows else ''}if {' and '.join(tests) or True}:")
        rows += _given(rule, content, generator, typed)
    otherwise = _absent(typed) if passes_through else ["    context = {}"]
    found = [*rows, "else:", *(otherwise or ["    pass"])] if rows else [line.strip() for line in otherwise]
    return [*paths.lines, *read, *found]


def _check_columns(content: Mapping[str, Any]) -> None:
    if content["hitPolicy"] != "first":
        raise Unsupported(f"hitPolicy {content['hitPolicy']!r} is not compiled")
    for column in (*content["inputs"], *content["outputs"]):
        _known("a column", column, ("id", "name", "field"))
    for column in content["outputs"]:
        if not column["field"].strip().isidentifier():
            raise Unsupported(f"the output {column['field']!r} is no plain name")
    for columns, name in ((content["inputs"], "id"), (content["outputs"], "id"), (content["outputs"], "field")):
        if len({column[name].strip() for column in columns}) != len(columns):
            raise Unsupported("two of its columns are alike")


def _fits(rule: Mapping[str, str], column: Mapping[str, Any], value: str) -> str:
    cell = rule.get(column["id"], "").strip()
    if not cell:
        return ""
    if not (column.get("field") or "").strip():
        raise Unsupported(f"the input {column.get('name')!r} without a field is not compiled")
    return f"({' or '.join(equal(Code(value), literal_code(literal)).source for literal in parse_cell(cell))})"


def _given(rule: Mapping[str, str], content: Mapping[str, Any], generator: Generator, typed: Iterable[str]) -> list[str]:
    """Return the lines that set what a row gives; what is `typed` must not come from elsewhere."""
    given = {column["field"].strip(): rule.get(column["id"], "").strip() for column in content["outputs"]}
    found = {name: _named(name, lambda text: generator.value(parse(text)), expression) for name, expression in given.items() if expression}
    if not content.get("passThrough"):
        return [f"    context = {_display({name: code.source for name, code in found.items()})}"]
    absent = _absent(name for name in typed if name not in found)
    if all(code.kind in PLAIN for code in found.values()):
        return [*absent, *(f"    context[{name!r}] = {code.source}" for name, code in found.items())] or ["    pass"]
    values = [f"    out{number} = {code.source}" for number, code in enumerate(found.values())]
    return [*absent, *values, *(f"    put(context, {name!r}, out{number})" for number, name in enumerate(found))]


def _absent(names: Iterable[str]) -> list[str]:
    """Return the lines that leave it to zen where one of these, which are not set, came from before."""
    return [f"    absent(context, {name!r})" for name in names]
