"""A compiled model answers what zen-engine answers, byte for byte, or leaves the answer to it."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
import zen
from hypothesis import event, given, settings
from hypothesis import strategies as st

from processors.compiled.graph import compile_model
from processors.compiled.parser import Unsupported
from processors.mapping import TROUBLE
from towpath.shapes import Meta

REFUSED, UNSURE = "refused", "unsure"
CONTEXT: dict[str, Any] = {
    "s": "abc", "e": "", "n": 7, "m": -3, "z": 0, "d": "12.50", "q": "2", "neg": "-1.005", "minus": "-0.00", "t": True, "f": False, "nul": None,
    "big": "123456789012345.123456789", "huge": "99999999999999999999999", "exp": "1e3", "sp": " 5 ", "u": "Straße", "fl": 2.5, "path": "a/b/c",
    "long": 2**63 - 1, "l": ["a", "b", None, 3], "o": {"k": "v", "x": {"y": "z"}, "n": 1}, "empty": [], "eo": {}, "in": 1,
    "lines": [{"sku": "A", "q": "2.000", "p": "9.990000", "no": 1}, {"sku": "B", "q": "1.5", "p": "0.00", "no": 2}],
}  # fmt: skip


def chain(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a model of these nodes between an input and an output."""
    whole = [{"id": "in", "type": "inputNode", "name": "in"}, *nodes, {"id": "out", "type": "outputNode", "name": "out"}]
    edges = [{"id": f"{one['id']}-{other['id']}", "type": "edge", "sourceId": one["id"], "targetId": other["id"]} for one, other in pairwise(whole)]
    return {"contentType": "application/vnd.gorules.decision", "nodes": whole, "edges": edges}


def expressions(pairs: dict[str, str], identity: str = "x", **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    listed = [{"id": f"{identity}{number}", "key": key, "value": value} for number, (key, value) in enumerate(pairs.items())]
    return {"id": identity, "type": "expressionNode", "name": identity, "content": {"expressions": listed, "passThrough": False, **attributes}}


def table(rows: list[dict[str, str]], identity: str = "t", **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a table with the inputs `one` (field s) and `two` (field n), and the outputs `a` and `b`."""
    inputs = [{"id": "one", "name": "one", "field": "s"}, {"id": "two", "name": "two", "field": "n"}]
    outputs = [{"id": name, "name": name, "field": name} for name in ("a", "b")]
    content = {"hitPolicy": "first", "passThrough": True, "inputs": inputs, "outputs": outputs, "rules": rows, **attributes}
    return {"id": identity, "type": "decisionTableNode", "name": identity, "content": content}


def by_zen(model: dict[str, Any], context: dict[str, Any]) -> str:
    try:
        answer = zen.ZenEngine().create_decision(json.dumps(model)).evaluate(copy.deepcopy(context))["result"]
    except RuntimeError:
        return REFUSED
    return orjson.dumps(without_nulls(answer)).decode()


def by_python(model: dict[str, Any], context: dict[str, Any]) -> str:
    run = compile_model(model).run
    try:
        return orjson.dumps(run(copy.deepcopy(context))).decode()
    except TROUBLE:
        return UNSURE


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def answer_of(expression: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what zen and the compiled expression answer alike."""
    model = chain(expressions({"x": expression}))
    by_both = by_zen(model, CONTEXT), by_python(model, CONTEXT)
    assert by_both[0] == by_both[1]
    return orjson.loads(by_both[0]).get("x")


# --- what is compiled, and what zen says of the same

ANSWERS: dict[str, Any] = {
    "s": "abc",
    "o.x.y": "z",
    "o['k']": "v",
    "o.missing.deeper": None,
    "missing[0]": None,
    "lines[1].sku": "B",
    "s[0]": "a",
    "split(path, '/')[2]": "c",
    "split(path, '/')[9]": None,
    "null": None,
    "'it'": "it",
    "1.50": None,
    "string(1.50)": "1.50",
    "string(number(d))": "12.50",
    "string(round(number(neg), 2))": "-1.01",
    "string(round(number(d), 4))": "12.50",
    "string(number(d) + number(q))": "14.50",
    "string(number(d) * number(d))": "156.2500",
    "string(n) + '/' + string(t) + '/' + string(nul)": "7/true/null",
    "number(q)": 2,
    "number(q) % 1 == 0": True,
    "-7 % 3 == -1": True,
    "floor(number(neg))": -2,
    "abs(m)": 3,
    "max([floor(number(d)), 0])": 12,
    "string(max([number('2.0'), 2]))": "2",
    "string(min([number('2.0'), 2]))": "2.0",
    "sum([1, n])": 8,
    "len(lines) + len(u)": 9,
    "n == 7 and m < 0 or f": True,
    "not t == f": True,
    "!(n != 7)": True,
    "n == '7'": False,
    "n == t": False,
    "l == l": False,
    "missing == null": True,
    "'a' == null": False,
    "s in ['abc', 'd']": True,
    "s not in ['abc', 'd']": False,
    "nul in l": True,
    "'k' in o": True,
    "nul ?? missing ?? 'x'": "x",
    "nul ?? 1 + 2": 3,
    "n > 5 ? 'more' : n > 3 ? 'some' : 'none'": "more",
    "[1, 'a', null, ]": [1, "a", None],
    "{b: 1, ['a' + s]: 2, 'x y': {c: null}, b: 3}": {"x y": {}, "aabc": 2, "b": 1},
    "map(lines, {q: number(#.q) > 1, s: #.sku + s})": [{"s": "Aabc", "q": True}, {"s": "Babc", "q": True}],
    "map(lines, map(l, #))": [["a", "b", None, 3], ["a", "b", None, 3]],
    "map(lines, #.missing ?? #.sku)": ["A", "B"],
    "flatMap(lines, #.no == 1 ? [#.sku, s] : #.sku)": ["A", "abc", "B"],
    "filter(lines, #.no > 1)[0].sku": "B",
    "[some(l, # == 3), all(l, # == 3), none(l, # == 4), all(empty, #)]": [True, False, True, True],
    "count(lines, #.no > 0)": 2,
    "merge([o, nul, {k: 'w', z: 1}])": {"k": "w", "x": {"y": "z"}, "n": 1, "z": 1},
    "merge([{a: s, b: nul}, {a: nul, c: t}, t ? {b: s} : {}])": {"b": "abc", "c": True},
    "merge([nul ?? {}, {a: s}, o]).a": "abc",
    "merge([{a: [nul, {b: nul}]}])": {"a": [None, {}]},
    "flatten([[1], [[2]], 3])": [1, [2], 3],
    "flatMap([t ? [] : [1], f ? [] : [{a: nul, b: s}], flatMap(lines, [#.no])], #)": [{"b": "abc"}, 1, 2],
    "{a: nul, a: s}": {},
    "{a: s, a: nul}": {"a": "abc"},
    "{['a']: nul, a: s}": {},
    "{[s]: nul}": {},
    "{a: {b: nul, c: {d: missing ?? nul, e: s}}, f: nul ?? o.k}": {"a": {"c": {"e": "abc"}}, "f": "v"},
    "map(lines, {a: nul, sku: #.sku, c: #.missing ?? {d: nul, e: #.no}})": [{"sku": "A", "c": {"e": 1}}, {"sku": "B", "c": {"e": 2}}],
    "split(s, 'b')[f]": None,
    "split(s, 'b')[false]": None,
    "split(s, 'b')[0] + split(path, '/')[0] + split(e, '/')[0]": "aa",
    "[{a: 1} == null, {a: 1} == null ? 1 : 2, {a: 1} == null or t]": [False, 2, True],
    "upper(s) + lower('ABC') + trim(' x ')": "ABCabcx",
    "[startsWith(s, 'ab'), endsWith(s, 'ab'), contains(s, 'b'), contains(l, 'b')]": [True, False, True, True],
    '"it\'s"': "it's",
}


@pytest.mark.parametrize(("expression", "expected"), [(one, other) for one, other in ANSWERS.items() if one != "1.50"])
def test_an_expression_is_answered_without_the_engine_and_alike(expression: str, expected: Any) -> None:  # noqa: ANN401 - any JSON
    assert expected == answer_of(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "number(s)", "number(huge)", "number(exp)", "number(minus)", "number(big) * 1000000", "number(missing)", "string(o)", "n + s", "n < s",
        "s ? 1 : 2", "s and t", "not s", "map(s, #)", "merge([[1]])", "merge([1])", "split(n, '/')", "split(s, nul)", "fl", "[fl == 2.5]", "1.50",
        "long + 1", "number(d)", "u[0]", "l[0 - 1]", "max([])", "max(['a'])", "len(n)", "-s", "round(s)", "upper(u)", "o in l", "s in s", "{[o]: 1}",
        "filter(l, #)", "string(fl)", "0 * number(d)", "number(d) - number(d)", "trim(n)", "contains(n, 1)",
    ],
)  # fmt: skip
def test_what_may_come_out_otherwise_is_left_to_the_engine(expression: str) -> None:
    assert UNSURE == by_python(chain(expressions({"x": expression})), CONTEXT)


@pytest.mark.parametrize(
    "expression",
    [
        "$", "$root.s", "$nodes", "`a`", "1..5", "[1..5]", "s[0:1]", "a = 1; a", "d('2026-01-01')", "s.add(1)", "map(lines as x, x.sku)", "2 ^ 3",
        "1 / 2", "+1", "1_000", "1e3", "5.", "12345678901234567", "# + 1", "a#b", "unknown(1)", "number(1, 2)", "round(n, m)", "round(1.5, 12)",
        "rand(5)", "string(n % 2)", "[n % 2]", "n % 2 + 1", "keys(o)", "matches(s, 'a')", "s s", "'a'[0]", "s +", "(s", "{a 1}", "{,}", "s.in", "é",
        "[" * 300 + "s" + "]" * 300, "not " * 300 + "t", "not " * 3000 + "t",
    ],
)  # fmt: skip
def test_what_is_not_compiled_says_so(expression: str) -> None:
    with pytest.raises(Unsupported):
        compile_model(chain(expressions({"x": expression})))


# --- any expression of the subset

LITERALS = ["'a'", "'abc'", "''", "0", "1", "10", "1.50", "0.00", "true", "false", "null", "'5.00'", "'-2.5'", "'/'", '"é"']
STEPS = ["", "", ".k", ".x", ".y", ".sku", ".q", ".p", ".no", "[0]", "[1]", "['k']", ".missing"]
PATHS = st.builds("{}{}{}".format, st.sampled_from([*sorted(CONTEXT.keys() - {"in"}), "missing"]), *[st.sampled_from(STEPS)] * 2)
ITEMS = st.builds("#{}".format, st.sampled_from(STEPS))
BINARIES = ["+", "-", "*", "%", "==", "!=", "<", ">", "<=", ">=", "and", "or", "??", "in", "not in"]
ONE = ["string", "number", "len", "floor", "abs", "max", "min", "sum", "merge", "flatten", "upper", "lower", "trim", "round", "-", "not ", "!", ""]
TWO = ["split", "contains", "startsWith", "endsWith"]
LOOPS = ["map", "flatMap", "filter", "some", "all", "none", "count"]


def larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keys = st.one_of(st.sampled_from(["a", "b", "'x y'"]), st.builds("[{}]".format, part))
    return st.one_of(
        st.builds("{} {} {}".format, part, st.sampled_from(BINARIES), part),
        st.builds("{} ? {} : {}".format, st.builds("{} {} {}".format, part, st.sampled_from(["==", "<", "in"]), part), part, part),
        st.builds("{}({})".format, st.sampled_from(ONE), part),
        st.builds("{}({}, {})".format, st.sampled_from(TWO), part, part),
        st.builds("round(number({}), {})".format, part, st.integers(0, 4)),
        st.builds("string(number({}) {} number({}))".format, part, st.sampled_from("+-*"), part),
        st.builds("{}({}, {})".format, st.sampled_from(LOOPS), st.one_of(st.sampled_from(["lines", "l", "empty"]), part), st.one_of(ITEMS, part)),
        st.builds("[{}]".format, st.lists(part, max_size=3).map(", ".join)),
        st.builds("{{{}}}".format, st.lists(st.builds("{}: {}".format, keys, part), max_size=3).map(", ".join)),
        st.builds("({})[{}]".format, part, st.sampled_from(["0", "1", "'k'"])),
    )


@settings(max_examples=200)
@given(st.recursive(st.one_of(st.sampled_from(LITERALS), PATHS), larger, max_leaves=6))
def test_any_expression_of_the_subset_is_answered_alike_or_not_at_all(expression: str) -> None:
    model = chain(expressions({"x": expression}))
    try:
        found = by_python(model, CONTEXT)
    except Unsupported:
        event("not compiled")
        return
    event(f"{found == UNSURE = }")
    assert found == UNSURE or found == by_zen(model, CONTEXT)


# --- nodes


def alike(model: dict[str, Any], context: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Return what both answer."""
    given = CONTEXT if context is None else context
    assert by_zen(model, given) == by_python(model, given)
    return orjson.loads(by_python(model, given))


def test_keys_with_dots_are_paths_and_nodes_follow_each_other() -> None:
    first = expressions({"document.A.b": "s", "operation": "'x'", "document.A.c": "n", "gone": "null"}, "first")
    assert {"y": "abc", "z": "x"} == alike(chain(first, expressions({"y": "document.A.b", "z": "operation", "w": "s", "v": "gone"}, "second")))


def test_what_passes_through_is_overwritten_and_a_null_takes_away() -> None:
    first = expressions({"s": "'new'", "n": "null", "added": "lines"}, "first", passThrough=True)
    assert ["new", True, 2] == alike(chain(first, expressions({"x": "[s, n == null, len(added)]"}, "second")))["x"]


ROWS = [
    {"one": "'abc'", "two": "1, 2", "a": "'first'"},
    {"one": "'xyz', 'abc'", "two": "7", "a": "'second'", "b": "string(n) + s"},
    {"one": "", "two": "8", "a": "'third'", "_description": "whatever s is"},
    {"one": "null", "a": "null"},
]


@pytest.mark.parametrize(("s", "n"), [("abc", 7), ("abc", 2), ("q", 8), (None, 3), ("q", 3), (7, "abc"), (["abc"], 7), ("abc", True), ("abc", 7.0)])
@pytest.mark.parametrize("passed", [True, False])
def test_the_first_row_that_fits_gives_its_outputs(s: Any, n: Any, passed: bool) -> None:  # noqa: ANN401, FBT001 - any JSON; a flag of the table
    model = chain(table(ROWS, passThrough=passed), expressions({"x": "[a ?? 'none', b ?? 'none', s ?? 'gone']"}))
    context = {"s": s, "n": n, "a": "before", "b": "before"}
    assert by_python(model, context) in (by_zen(model, context), UNSURE)
    assert UNSURE != by_python(model, context) or n == 7.0


@pytest.mark.parametrize("name", ["o", "lines", "s", "new"])
@pytest.mark.parametrize("s", ["x", "y", "z"])
def test_what_a_table_may_set_is_answered_alike_whatever_it_was_before(s: str, name: str) -> None:
    outputs = [{"id": "a", "name": "a", "field": name}, {"id": "b", "name": "b", "field": "b"}]
    rows = [{"one": "'x'", "a": "'literal'", "b": "1"}, {"one": "'y'", "b": "2"}]
    model = chain(table(rows, outputs=outputs), expressions({"found": name, "text": f"string({name} == 'literal')", "b": "b"}, "y"))
    context = {**CONTEXT, "s": s, "o": {"k": None, "l": 1}, "lines": [{"q": None}]}
    found = by_python(model, context)
    assert by_zen(model, context) == found
    with_a_shape = compile_model(model, Meta).run
    try:
        assert by_zen(model, context) == orjson.dumps(with_a_shape(copy.deepcopy(context))).decode()
    except TROUBLE:
        assert name in CONTEXT


def test_a_table_without_rows_changes_nothing() -> None:
    assert "abc" == alike(chain(table([]), expressions({"x": "s"})))["x"]


def test_an_answer_holds_no_more_than_the_last_node_gave() -> None:
    assert {"x": 1} == alike(chain(expressions({"x": "1"})))
    assert CONTEXT.keys() - {"nul"} == alike(chain(), {**CONTEXT, "fl": 1}).keys()


def edited(model: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {**model, **changes}


PLAIN = chain(expressions({"x": "s"}))
SWITCH = {"id": "w", "type": "switchNode", "name": "w", "content": {"statements": [{"id": "s1", "condition": "t"}]}}
OTHERS = {
    "a switch": chain(SWITCH),
    "a second way": edited(PLAIN, edges=[*PLAIN["edges"], {"id": "e", "type": "edge", "sourceId": "in", "targetId": "out"}]),
    "a node apart": edited(PLAIN, nodes=[*PLAIN["nodes"], expressions({"y": "s"}, "apart")]),
    "no output": edited(PLAIN, nodes=PLAIN["nodes"][:-1], edges=PLAIN["edges"][:-1]),
    "an edge to nothing": edited(PLAIN, edges=[*PLAIN["edges"][:-1], {"id": "e", "type": "edge", "sourceId": "x", "targetId": "nothing"}]),
    "a loop": chain(expressions({"x": "s"}, executionMode="loop", inputField="lines")),
    "an output path": chain(expressions({"x": "s"}, outputPath="deep")),
    "a schema of the input": edited(PLAIN, nodes=[{**PLAIN["nodes"][0], "content": {"schema": "{}"}}, *PLAIN["nodes"][1:]]),
    "what a later format adds": edited(PLAIN, imports=[]),
    "what a later node adds": chain({**expressions({"x": "s"}), "retry": 3}),
    "a key twice": chain(expressions({"a.b": "s", "a": "n"})),
    "a key within another": chain(expressions({"a": "o", "a.b": "n"})),
    "a merge of objects": chain(expressions({"a.b": "s"}, passThrough=True)),
    "a collecting table": chain(table(ROWS, hitPolicy="collect")),
    "a comparison in a cell": chain(table([{"one": "> 5", "a": "1"}])),
    "a collecting column": chain(table(ROWS, outputs=[{"id": "a", "name": "a", "field": "a[]"}])),
    "a path of a column": chain(table(ROWS, outputs=[{"id": "a", "name": "a", "field": "a.b"}])),
    "an input without a field": chain(table([{"one": "s == 'abc'", "a": "1"}], inputs=[{"id": "one", "name": "one"}])),
}


@pytest.mark.parametrize("model", OTHERS.values(), ids=list(OTHERS))
def test_a_model_of_anything_else_is_not_compiled(model: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        compile_model(model)
