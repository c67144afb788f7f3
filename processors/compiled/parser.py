"""Reads zen expressions into trees, as zen-expression 2.0 does (core/expression/src/lexer and /parser of gorules/zen).

Only what can be compiled is read; everything else raises Unsupported, and the model that has it runs by zen-engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

TOKEN: Final = re.compile(
    r"""[ \n\t]*(?:
        (?P<string>'[^']*'|"[^"]*")
      | (?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?(?![0-9_.e]))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*+(?![$\#])|\#(?![A-Za-z0-9_$\#]))
      | (?P<operator>\?\?|==|!=|<=|>=|\.(?!\.)|[?<>!,:+\-*%()\[\]{}])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
BINARY: Final = {
    "or": 10,
    "and": 15,
    **dict.fromkeys(["==", "!=", "<", ">", "<=", ">=", "in", "not in"], 20),
    **dict.fromkeys(["+", "-"], 30),
    **dict.fromkeys(["*", "%"], 60),
    "??": 80,
}
"""Precedence of the operators; all bind to the left."""
UNARY: Final = {"not": 50, "-": 200}
CONSTANTS: Final = {"null": None, "true": True, "false": False}
WORDS: Final = frozenset({"and", "or", "in", "not"})
CLOSURES: Final = frozenset({"map", "flatMap", "filter", "some", "all", "none", "count"})
ITEM: Final = "#"


class Unsupported(Exception):  # noqa: N818 - no error: the model runs by zen-engine instead
    """An expression or node that is not compiled; says which."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tree: `literal`, `name`, `item`, `member`, `call`, `array`, `object`, `unary`, `binary` or `choice`; `value` by its kind."""

    kind: str
    value: object = None
    parts: tuple[Node, ...] = ()


def parse(source: str) -> Node:
    """Return the tree of an expression that zen-engine takes for valid; raises Unsupported, or RecursionError where it is nested too deeply."""
    return _Parser(_tokens(source)).whole()


def parse_cell(source: str) -> list[Node]:
    """Return the literals that a table's cell lists (`'a', 'b'`: the input equals one of them); raises Unsupported."""
    parser = _Parser(_tokens(source))
    found = [parser.literal_only()]
    while parser.take(","):
        found.append(parser.literal_only())
    parser.done()
    return found


def _tokens(source: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while True:
        match = TOKEN.match(source, at)
        if match is None:
            raise Unsupported(f"{source[at : at + 12].strip()!r} is not compiled")
        kind, text, at = str(match.lastgroup), match[str(match.lastgroup)], match.end()
        if kind == "end":
            return [*found, ("end", "")]
        if text == "not" and source.startswith(" in ", at):
            text, at = "not in", at + 4
        if text == "!" or text in WORDS or text == "not in":
            kind, text = "operator", "not" if text == "!" else text
        found.append((kind, text))


class _Parser:
    """A Pratt parser over tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def whole(self) -> Node:
        node = self.expression()
        self.done()
        return node

    def done(self) -> None:
        if self._kind != "end":
            raise Unsupported(f"{self._text!r} stands where nothing compiled may stand")

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def take(self, operator: str) -> bool:
        """Tell whether this operator is next, and go past it."""
        found = self._kind == "operator" and self._text == operator
        self._at += found
        return found

    def _expect(self, operator: str) -> None:
        if not self.take(operator):
            raise Unsupported(f"{self._text!r} stands where {operator!r} is expected")

    def expression(self, precedence: int = 0) -> Node:
        """Return an expression of operators that bind at least so tightly; a choice (`? :`) binds least."""
        left = self._unary()
        while self._kind == "operator" and BINARY.get(self._text, -1) >= precedence:
            operator = self._next()
            left = Node("binary", operator, (left, self.expression(BINARY[operator] + 1)))
        if precedence == 0 and self.take("?"):
            chosen = self.expression()
            self._expect(":")
            return Node("choice", None, (left, chosen, self.expression()))
        return left

    def _unary(self) -> Node:
        if self._kind == "operator" and self._text in UNARY:
            operator = self._next()
            return Node("unary", operator, (self.expression(UNARY[operator]),))
        if self.take("("):
            node = self.expression()
            self._expect(")")
            return self._postfix(node)
        if self.take("["):
            return self._postfix(Node("array", None, self._list("]")))
        if self.take("{"):
            return self._object()
        if self._kind == "name" and self._text not in CONSTANTS:
            return self._postfix(self._named(self._next()))
        return self.literal_only()

    def literal_only(self) -> Node:
        """Return a literal; zen has no member of one."""
        kind, text = self._kind, self._next()
        if kind == "string":
            return Node("literal", text[1:-1])
        if kind == "number":
            return Node("literal", Decimal(text) if "." in text else int(text))
        if kind == "name" and text in CONSTANTS:
            return Node("literal", CONSTANTS[text])
        raise Unsupported(f"{text!r} stands where a value is expected")

    def _named(self, name: str) -> Node:
        if name == ITEM:
            if not self._depth:
                raise Unsupported("'#' stands outside of a list's function")
            return Node("item")
        if not self.take("("):
            return Node("name", name)
        if name not in CLOSURES:
            return Node("call", name, self._list(")"))
        items = self.expression()
        self._expect(",")
        self._depth += 1
        body = self.expression()
        self._depth -= 1
        self._expect(")")
        return Node("call", name, (items, body))

    def _postfix(self, node: Node) -> Node:
        while True:
            if self.take("."):
                if self._kind != "name" or self._text in CONSTANTS or self._text == ITEM or self._tokens[self._at + 1][1] == "(":
                    raise Unsupported(f"{self._text!r} after a dot is not compiled")
                node = Node("member", None, (node, Node("literal", self._next())))
            elif self.take("["):
                node = Node("member", None, (node, self.expression()))
                self._expect("]")
            else:
                return node

    def _list(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.take(end):
            if found:
                self._expect(",")
                if self.take(end):
                    break
            found.append(self.expression())
        return tuple(found)

    def _object(self) -> Node:
        pairs: list[Node] = []
        if self.take("}"):
            return Node("object")
        while True:
            pairs.append(self._key(self.expression))
            self._expect(":")
            pairs.append(self.expression())
            if self.take("}"):
                return Node("object", None, tuple(pairs))
            self._expect(",")

    def _key(self, expression: Callable[[], Node]) -> Node:
        if self.take("["):
            node = expression()
            self._expect("]")
            return node
        if self._kind not in ("name", "number", "string"):
            raise Unsupported(f"{self._text!r} is no key of an object")
        text = self._text[1:-1] if self._kind == "string" else self._text
        self._next()
        return Node("literal", text)
