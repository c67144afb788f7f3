"""Turns the tree of an expression into the source of a Python expression with the same value.

Fields of the input are read once each: paths such as `billing_address.lines` become local variables (`Paths`), read ahead; none can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from processors.compiled.kinds import Hint, item_of, step
from processors.compiled.parser import Node, Unsupported
from processors.compiled.values import PRESENT, Code, Paths, typed

NEVER: Final = "False"
FUNCTIONS: Final = {
    "number": ("number", "number"),
    "string": ("text", "string"),
    "floor": ("floor", "number"),
    "abs": ("absolute", "number"),
    "max": ("largest", "number"),
    "min": ("smallest", "number"),
    "sum": ("total", "number"),
    "len": ("length", "number"),
    "merge": ("merge", "object"),
    "flatten": ("flattened", "list"),
}
"""zen's functions of one argument: ours, and what they give."""
TEXTS: Final = {
    "split": ("{}.split({})", 2, "list"),
    "startsWith": ("{}.startswith({})", 2, "bool"),
    "endsWith": ("{}.endswith({})", 2, "bool"),
    "upper": ("plain_words({}).upper()", 1, "string"),
    "lower": ("plain_words({}).lower()", 1, "string"),
    "trim": ("plain_words({}).strip(SPACES)", 1, "string"),
}
"""zen's functions of strings: their Python, how many arguments, and what they give."""
CLOSURES: Final = {
    "map": ("[{body} for {item} in {items}]", "list"),
    "flatMap": ("flattened([{body} for {item} in {items}])", "list"),
    "filter": ("[{item} for {item} in {items} if {body}]", "list"),
    "some": ("any({body} for {item} in {items})", "bool"),
    "all": ("all({body} for {item} in {items})", "bool"),
    "none": ("(not any({body} for {item} in {items}))", "bool"),
    "count": ("sum([{body} for {item} in {items}])", "number"),
}
JUDGED: Final = frozenset({"filter", "some", "all", "none", "count"})
"""Functions of a list whose body is a condition."""
ARITHMETIC: Final = {"+": "add", "-": "subtract", "*": "multiply"}
ORDER: Final = frozenset({"<", ">", "<=", ">="})
MOST_PLACES: Final = 9


class Generator:
    """Writes expressions that read the paths of one node."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._depth = 0
        self._lists = 0
        self._items: list[Hint] = []

    def value(self, node: Node) -> Code:
        """Return the code of a value that may be kept, and so is no remainder; raises Unsupported."""
        code = self.any(node)
        if code.kind == "rest":
            raise Unsupported("a remainder is compiled in comparisons only")
        return code

    def any(self, node: Node) -> Code:
        """Return the code of any value; raises Unsupported."""
        writer: Callable[[Node], Code] = getattr(self, f"_{node.kind}")
        return writer(node)

    def condition(self, node: Node) -> str:
        """Return the code of a bool."""
        code = self.value(node)
        return code.source if code.kind == "bool" else f"truth({code.source})"

    def _literal(self, node: Node) -> Code:
        return literal_code(node)

    def _name(self, node: Node) -> Code:
        return self._paths.code((str(node.value),))

    def _item(self, _node: Node) -> Code:
        return typed(f"item{self._depth}", self._items[-1])

    def _member(self, node: Node) -> Code:
        path = _path(node)
        if path is not None:
            return self._paths.code(path)
        owner, key = node.parts
        if owner.kind == "item" and key.kind == "literal" and isinstance(key.value, str):
            return typed(*step(self._item(owner).source, self._items[-1], key.value))
        if owner.kind == "call" and owner.value == "split" and type(key.value) is int and not key.value:  # nothing is split into less than one part
            return Code(f"{self.value(owner).source}[0]", "string")
        return Code(f"member({self.value(owner).source}, {self.value(key).source})")

    def _array(self, node: Node) -> Code:
        return Code(f"[{', '.join(self.value(part).source for part in node.parts)}]", "list")

    def _object(self, node: Node) -> Code:
        pairs = list(zip(node.parts[::2], node.parts[1::2], strict=True))
        parts = [self.value(part) for _, part in pairs]
        written = [f"{self._text(key)}: {code.source}" for (key, _), code in zip(pairs, parts, strict=True)]
        # zen takes them off its stack: the first of two equal keys wins
        return Code(f"{{{', '.join(reversed(written))}}}", "object", finished=all(code.is_whole for code in parts))

    def _text(self, node: Node) -> str:
        code = self.value(node)
        return code.source if code.kind == "string" else f"text({code.source})"

    def _choice(self, node: Node) -> Code:
        condition, chosen, other = node.parts
        return self.choice(condition, self.value(chosen), self.value(other))

    def choice(self, condition: Node, one: Code, other: Code) -> Code:
        """Return the code of one value or the other."""
        decided = self.condition(condition)
        if decided == NEVER:
            return other
        kind, finished = one.kind if one.kind == other.kind else "any", one.finished and other.finished
        return Code(f"({one.source} if {decided} else {other.source})", kind, finished=finished)

    def _unary(self, node: Node) -> Code:
        if node.value == "not":
            return Code(f"(not {self.condition(node.parts[0])})", "bool")
        return Code(f"negated({self.value(node.parts[0]).source})", "number")

    def _binary(self, node: Node) -> Code:
        operator, (left, right) = str(node.value), node.parts
        if operator in ("and", "or"):
            return self._joined(operator, left, right)
        if operator == "??":
            return self._otherwise(left, right)
        if operator in ("in", "not in"):
            found = f"within({self.value(left).source}, {self.value(right).source})"
            return Code(found if operator == "in" else f"(not {found})", "bool")
        one, other = self.any(left), self.any(right)
        if operator in ("==", "!="):
            return equal(one, other, wanted=operator == "==")
        if operator in ORDER:
            return Code(f"({_number(one)} {operator} {_number(other)})", "bool")
        return self._sum(operator, one, other)

    def _joined(self, operator: str, left: Node, right: Node) -> Code:
        decided, other = self.condition(left), self.value(right)
        if operator == "or" and decided == NEVER and other.kind == "bool":
            return other
        return Code(f"({decided} {operator} {other.source})", "bool" if other.kind == "bool" else "any")

    def _otherwise(self, left: Node, right: Node) -> Code:
        value, other = self.value(left).source, self.value(right).source
        if self._depth or self._lists:  # a comprehension takes no assignment where it names its list
            return Code(f"otherwise({value}, lambda: {other})")
        return Code(f"(found if (found := {value}) is not None else {other})")

    def _sum(self, operator: str, one: Code, other: Code) -> Code:
        if "rest" in (one.kind, other.kind):
            raise Unsupported("a remainder is compiled in comparisons only")
        if operator == "%" and one.spelt and other.source.isdigit():
            return Code(f"spelt_remainder({one.spelt}, {other.source})", "rest")
        if operator == "%":
            return Code(f"remainder({one.source}, {other.source})", "rest")
        if operator == "+" and "string" in (one.kind, other.kind):
            return Code(f"({one.source} + {other.source})", "string")  # of anything but two strings a TypeError, and then zen is asked
        return Code(f"{ARITHMETIC[operator]}({one.source}, {other.source})", "any" if operator == "+" else "number")

    def _call(self, node: Node) -> Code:
        name = str(node.value)
        if name in CLOSURES:
            return self.closure(name, *node.parts, body=self.value)
        if name == "merge" and len(node.parts) == 1 and node.parts[0].kind == "array":
            return self._merged(node.parts[0].parts)
        arguments = [self.value(part) for part in node.parts]
        if name == "round" and len(node.parts) in (1, 2):
            return self._round(arguments, node.parts[1:])
        if name in FUNCTIONS and len(arguments) == 1:
            return _of_one(name, arguments[0])
        if name in TEXTS and len(arguments) == TEXTS[name][1]:
            return Code(TEXTS[name][0].format(*map(_words, arguments)), TEXTS[name][2])
        if name == "contains" and len(arguments) == len(("things", "value")):
            return Code(f"contains({arguments[0].source}, {arguments[1].source})", "bool")
        raise Unsupported(f"{name} with {len(arguments)} values is not compiled")

    def _opened(self, items: Node) -> str:
        """Return the code of an array of what certainly are lists, opened; else nothing."""
        codes = [self.value(part) for part in items.parts] if items.kind == "array" else []
        return f"[{', '.join(f'*{code.source}' for code in codes)}]" if codes and all(code.kind == "list" for code in codes) else ""

    def _merged(self, parts: Iterable[Node]) -> Code:
        """Return the code of one object of several."""
        codes = [self.value(part) for part in parts]
        written = ", ".join(f"**{code.source if code.kind == 'object' else f'fields({code.source})'}" for code in codes)
        return Code(f"{{{written}}}", "object", finished=all(code.finished and code.kind == "object" for code in codes))

    def _round(self, arguments: list[Code], places: tuple[Node, ...]) -> Code:
        wanted = places[0].value if places else 0
        if type(wanted) is not int or wanted > MOST_PLACES:
            raise Unsupported("round is compiled with up to nine places, written out")
        given = arguments[0]
        return Code(f"rounded({given.source}, {wanted})", "number", text=f"rounded_text({given.spelt}, {wanted})" if given.spelt else "")

    def closure(self, name: str, items: Node, each: Node, *, body: Callable[[Node], Code]) -> Code:
        """Return the code of a function of a list that does something with each thing in it, as `body` writes that."""
        source, kind = CLOSURES[name]
        if name == "flatMap" and each.kind == "item" and (opened := self._opened(items)):
            return Code(opened, kind)
        path = _path(items)
        self._lists += 1
        listed = self.value(items)
        self._lists -= 1
        self._items.append(item_of(self._paths.hints[path]) if path is not None else None)
        self._depth += 1
        done = Code(self.condition(each), "bool") if name in JUDGED else body(each)
        item = f"item{self._depth}"
        self._depth -= 1
        self._items.pop()
        sequence = listed.source if listed.kind == "list" else f"sequence({listed.source})"
        if name == "flatMap" and done.source == item:
            return Code(f"flattened({sequence})", kind)
        if name == "flatMap" and done.kind == "list":
            return Code(f"[one for {item} in {sequence} for one in {done.source}]", kind)
        return Code(source.format(items=sequence, body=done.source, item=item), kind)


def _of_one(name: str, given: Code) -> Code:
    """Return the code of a function of one argument."""
    if name == "string" and given.kind == "string":
        return given
    if name == "string" and given.text:
        return Code(given.text, "string")
    if name == "number" and given.kind == "string":
        return Code(f"spelt({given.source})", "number", spelt=given.source)
    if name == "len" and given.kind == "list":
        return Code(f"len({given.source})", "number")
    ours, kind = FUNCTIONS[name]
    argument = f"sequence({given.source})" if name == "flatten" else given.source
    return Code(f"{ours}({argument})", kind, spelt=argument if name == "number" else "")


def literal_code(node: Node) -> Code:
    """Return the code of a literal."""
    kinds = {str: "string", bool: "bool", int: "number", Decimal: "number"}
    return Code(repr(node.value), kinds.get(type(node.value), "null"))


def _path(node: Node) -> tuple[str | int, ...] | None:
    """Return the steps of a plain path from a field of the input, None for anything else."""
    if node.kind == "name":
        return (str(node.value),)
    if node.kind != "member":
        return None
    owner, key = _path(node.parts[0]), node.parts[1]
    plain = key.kind == "literal" and (type(key.value) is str or type(key.value) is int)
    return None if owner is None or not plain else (*owner, key.value)  # type: ignore[arg-type]


def equal(one: Code, other: Code, *, wanted: bool = True) -> Code:
    """Return the code of `one == other`, or of `one != other` where that is wanted."""
    sides = {one.kind: one, other.kind: other}
    if "null" in sides:
        kept = other if one.kind == "null" else one
        if kept.kind in ("any", "null"):
            return Code(f"({kept.source} is {'' if wanted else 'not '}None)", "bool")
        if wanted and kept.kind in PRESENT and kept.source.isidentifier():
            return Code(NEVER, "bool")
    elif "string" in sides or {*sides} <= {"number", "rest"}:
        return Code(f"({one.source} {'==' if wanted else '!='} {other.source})", "bool")
    found = f"same({one.source}, {other.source})"
    return Code(found if wanted else f"(not {found})", "bool")


def _number(code: Code) -> str:
    return code.source if code.kind == "number" else f"numeric({code.source})"


def _words(code: Code) -> str:
    return code.source if code.kind == "string" else f"words({code.source})"
