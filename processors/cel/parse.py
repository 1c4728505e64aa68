"""Parses the part of CEL that can be computed on whole columns.

The library knows the whole language but shows no syntax tree. What is not in this part raises OutsideError and goes through the library
row by row; every source has been accepted by the library before it comes here.
"""

import re
from dataclasses import dataclass

INT_MAX = 2**63 - 1
INT_MIN = -(2**63)
_DEPTH = 60
_TOKEN = re.compile(
    r"""\s+|//[^\n]*(?:\n|$)
    |(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<string>"[^"\\\n]*"|'[^'\\\n]*')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)
_LEVELS: tuple[tuple[str, ...], ...] = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))


class OutsideError(Exception):
    """The expression uses more of CEL than can be computed on columns."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written down."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x`, `-x`"""

    sign: str
    of: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and a sign between them."""

    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Choice:
    """`test ? yes : no`"""

    test: "Node"
    yes: "Node"
    no: "Node"


@dataclass(frozen=True, slots=True)
class Among:
    """`value in [...]`"""

    value: "Node"
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function, its receiver first."""

    function: str
    given: tuple["Node", ...]


Node = Literal | Name | Unary | Binary | Choice | Among | Call


def parse(source: str) -> Node:
    """The syntax tree of an expression.

    Raises:
        OutsideError: it is not in the part of CEL read here.
    """
    parser = _Parser(_tokens(source))
    node = parser.choice(0)
    if parser.kind:
        raise OutsideError(parser.text)
    return node


def _tokens(source: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise OutsideError(source[at])
        if match.lastgroup:
            tokens.append((match.lastgroup, match.group()))
        at = match.end()
    return [*tokens, ("", "")]


class _Parser:
    """Recursive descent; `kind` and `text` are the token ahead."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.kind, self.text = tokens[0]

    def _next(self) -> str:
        text = self.text
        self._at += 1
        self.kind, self.text = self._tokens[self._at]
        return text

    def _sign(self, *signs: str) -> str:
        """The sign ahead, taken, if it is one of these."""
        return self._next() if self.kind in ("sign", "word") and self.text in signs else ""

    def _must(self, sign: str) -> None:
        if not self._sign(sign):
            raise OutsideError(self.text)

    def choice(self, depth: int) -> Node:
        if depth > _DEPTH:
            raise OutsideError("nested too deeply")
        test = self._binary(0, depth)
        if not self._sign("?"):
            return test
        yes = self._binary(0, depth + 1)
        self._must(":")
        return Choice(test, yes, self.choice(depth + 1))

    def _binary(self, level: int, depth: int) -> Node:
        if level == len(_LEVELS):
            return self._unary(depth)
        node = self._binary(level + 1, depth)
        while sign := self._sign(*_LEVELS[level]):
            if sign == "in":
                self._must("[")
                node = Among(node, self._until("]", depth))
            else:
                node = Binary(sign, node, self._binary(level + 1, depth))
        return node

    def _unary(self, depth: int) -> Node:
        if depth > _DEPTH:
            raise OutsideError("nested too deeply")
        sign = self._sign("!", "-")
        if not sign:
            return self._member(depth)
        of = self._unary(depth + 1)
        if sign == "-" and isinstance(of, Literal) and type(of.value) in (int, float) and of.value != INT_MIN:
            return Literal(-of.value)  # type: ignore[operator]
        return Unary(sign, of)

    def _member(self, depth: int) -> Node:
        node = self._primary(depth)
        while self._sign("."):
            if self.kind != "word":
                raise OutsideError(self.text)
            function = self._next()
            self._must("(")
            node = Call(function, (node, *self._until(")", depth)))
        return node

    def _primary(self, depth: int) -> Node:
        if self._sign("("):
            node = self.choice(depth + 1)
            self._must(")")
            return node
        if self.kind == "int":
            return Literal(int(self._next(), 0) if self.text[:2] in ("0x", "0X") else int(self._next()))
        if self.kind == "float":
            return Literal(float(self._next()))
        if self.kind == "string":
            return Literal(self._next()[1:-1])
        if self.kind != "word" or self.text == "in":
            raise OutsideError(self.text)
        return self._word(self._next(), depth)

    def _word(self, word: str, depth: int) -> Node:
        if word in ("true", "false"):
            return Literal(word == "true")
        if word == "null":
            return Literal(None)
        return Call(word, self._until(")", depth)) if self._sign("(") else Name(word)

    def _until(self, end: str, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        if self._sign(end):
            return ()
        while True:
            items.append(self.choice(depth + 1))
            if self._sign(end):
                return tuple(items)
            self._must(",")
