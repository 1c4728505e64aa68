"""Types an expression and compiles it to operations on whole columns."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.cel import arithmetic, engine, vectors
from processors.cel.parse import INT_MAX, INT_MIN, Among, Binary, Call, Choice, Literal, Name, Node, OutsideError, Unary
from processors.cel.vectors import Kind, Vector

Env = Mapping[str, Vector]
Run = Callable[[Env], Vector]

_NUMBERS = frozenset({Kind.INT, Kind.DOUBLE})
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TEXT = {"startsWith": pc.starts_with, "endsWith": pc.ends_with, "contains": pc.match_substring}


class MistypedError(Exception):
    """The expression can't be evaluated on these types."""


class UnknownError(Exception):
    """The expression names a column that is not there."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A part of an expression: the kind of its values, and how to compute them."""

    kind: Kind
    run: Run


def compile_node(node: Node, kinds: Mapping[str, Kind | None]) -> Typed:
    """Compile a syntax tree; `kinds` has every column, None for one that only the library reads.

    Raises:
        OutsideError: columns can't do this part of CEL.
        MistypedError, UnknownError: nothing can.
    """
    match node:
        case Literal():
            return _literal(node)
        case Name():
            return _name(node.name, kinds)
        case Unary():
            return _unary(node.sign, compile_node(node.of, kinds))
        case Binary():
            return _binary(node.sign, compile_node(node.left, kinds), compile_node(node.right, kinds))
        case Choice():
            return _choice(compile_node(node.test, kinds), compile_node(node.yes, kinds), compile_node(node.no, kinds))
        case Among():
            return _among(node, kinds)
        case Call():
            return _call(node, kinds)
        case _:
            assert_never(node)


def _literal(node: Literal) -> Typed:
    value = node.value
    if value is None:
        return Typed(Kind.NULL, lambda _: Vector(np.False_, np.asarray(True)))
    if isinstance(value, str):
        text = Vector(pa.scalar(value, pa.string()))
        return Typed(Kind.STRING, lambda _: text)
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise OutsideError("an integer beyond 64 bits")
    kind = Kind.BOOL if isinstance(value, bool) else Kind.INT if isinstance(value, int) else Kind.DOUBLE
    number = Vector(np.asarray(value))
    return Typed(kind, lambda _: number)


def _name(name: str, kinds: Mapping[str, Kind | None]) -> Typed:
    if name not in kinds:
        raise UnknownError(name)
    kind = kinds[name]
    if kind is None:
        raise OutsideError(name)
    return Typed(kind, lambda env: env[name])


def _unary(sign: str, of: Typed) -> Typed:
    if sign == "!":
        if of.kind is not Kind.BOOL:
            raise MistypedError(f"`!` needs a bool, not {_a(of.kind)}")

        def inverted(env: Env) -> Vector:
            vector = of.run(env)
            return Vector(~vector.values, None, vectors.either(vector.null, vector.failed))

        return Typed(Kind.BOOL, inverted)
    if of.kind not in _NUMBERS:
        raise MistypedError(f"`-` needs a number, not {_a(of.kind)}")
    return Typed(of.kind, lambda env: arithmetic.negated(of.run(env)))


def _binary(sign: str, left: Typed, right: Typed) -> Typed:
    if sign in ("&&", "||"):
        if (wrong := next((side.kind for side in (left, right) if side.kind is not Kind.BOOL), None)) is not None:
            raise MistypedError(f"`{sign}` needs a bool on both sides, not {_a(wrong)}")
        join = vectors.all_of if sign == "&&" else vectors.any_of
        return Typed(Kind.BOOL, lambda env: join(left.run(env), right.run(env)))
    if sign in ("==", "!="):
        same = _equal(sign, left, right)
        return same if sign == "==" else Typed(Kind.BOOL, lambda env: (answer := same.run(env))._replace(values=~answer.values))
    if sign in "+-*/%":
        return _computed(sign, left, right)
    left, right = _alike(sign, left, right)
    if left.kind is Kind.NULL:
        raise MistypedError(f"`{sign}` has no meaning for null; say `!= null` first")
    return Typed(Kind.BOOL, lambda env: vectors.ordered(sign, left.kind, left.run(env), right.run(env)))


def _equal(sign: str, left: Typed, right: Typed) -> Typed:
    if Kind.NULL in (left.kind, right.kind):
        one = left if right.kind is Kind.NULL else right
        return Typed(Kind.BOOL, lambda env: vectors.is_null(one.run(env)))
    left, right = _alike(sign, left, right)
    return Typed(Kind.BOOL, lambda env: vectors.equal(left.kind, left.run(env), right.run(env)))


def _computed(sign: str, left: Typed, right: Typed) -> Typed:
    if Kind.TIME in (left.kind, right.kind):
        raise OutsideError("durations")
    if {left.kind, right.kind} == _NUMBERS:
        raise MistypedError(f"`{sign}` can't mix int and double; write `double(...)`, or 1.0 for 1")
    able = {"+": {*_NUMBERS, Kind.STRING}, "%": {Kind.INT}}.get(sign, _NUMBERS)
    if left.kind is not right.kind or left.kind not in able:
        raise MistypedError(f"`{sign}` has no meaning between {left.kind} and {right.kind}")
    return Typed(left.kind, lambda env: arithmetic.computed(sign, left.kind, left.run(env), right.run(env)))


def _alike(sign: str, left: Typed, right: Typed) -> tuple[Typed, Typed]:
    """Both sides as one kind, the integer side of a pair of numbers as doubles."""
    if {left.kind, right.kind} == _NUMBERS:
        return _doubled(left), _doubled(right)
    if left.kind is not right.kind:
        raise MistypedError(f"`{sign}` can't compare {left.kind} with {right.kind}")
    return left, right


def _doubled(typed: Typed) -> Typed:
    if typed.kind is Kind.DOUBLE:
        return typed
    return Typed(Kind.DOUBLE, lambda env: vectors.as_double(typed.run(env)))


def _choice(test: Typed, yes: Typed, no: Typed) -> Typed:
    if test.kind is not Kind.BOOL:
        raise MistypedError(f"`?` needs a bool before it, not {_a(test.kind)}")
    if yes.kind is not no.kind and Kind.NULL not in (yes.kind, no.kind):
        raise MistypedError(f"both sides of `:` must be of one type, not {yes.kind} and {no.kind}")
    kind = no.kind if yes.kind is Kind.NULL else yes.kind
    yes, no = _filled(yes, kind), _filled(no, kind)
    return Typed(kind, lambda env: vectors.choose(kind, test.run(env), yes.run(env), no.run(env)))


def _filled(typed: Typed, kind: Kind) -> Typed:
    """A null that stands for a value of a kind."""
    if typed.kind is kind or kind is not Kind.STRING:
        return typed
    empty = Vector(pa.scalar("", pa.string()), np.asarray(True))
    return Typed(kind, lambda _: empty)


def _among(node: Among, kinds: Mapping[str, Kind | None]) -> Typed:
    value = compile_node(node.value, kinds)
    if not all(isinstance(item, Literal) for item in node.items):
        raise OutsideError("a list with more than literals")
    words = [item.value for item in node.items if isinstance(item, Literal) and isinstance(item.value, str)]
    if isinstance(node.value, Name) and value.kind is Kind.STRING and len(words) == len(node.items) > 0:
        wanted = pa.array(words, pa.string())
        return Typed(Kind.BOOL, lambda env: vectors.among(value.run(env), wanted))
    matches = [_equal("in", value, compile_node(item, kinds)) for item in node.items]

    def found(env: Env) -> Vector:
        hit = Vector(np.False_, None, value.run(env).failed)
        for match in matches:
            hit = hit._replace(values=hit.values | match.run(env).values)
        return hit

    return Typed(Kind.BOOL, found)


def _call(node: Call, kinds: Mapping[str, Kind | None]) -> Typed:
    match node.function, node.given:
        case ("startsWith" | "endsWith" | "contains") as function, (Name() as name, Literal(value=str(text))):
            return _text(function, _name(name.name, kinds), text)
        case "size", (Name() as name,):
            return _size(_name(name.name, kinds))
        case "double", (of,):
            return _as_double(compile_node(of, kinds))
        case "timestamp", (Literal(value=str(text)),):
            return _moment(text)
        case _:
            raise OutsideError(node.function)


def _text(function: str, of: Typed, text: str) -> Typed:
    if of.kind is not Kind.STRING:
        raise MistypedError(f"`{function}` needs a string, not {_a(of.kind)}")
    ask = _TEXT[function]

    def asked(env: Env) -> Vector:
        vector = of.run(env)
        return Vector(ask(vector.values, text).to_numpy(zero_copy_only=False), None, vectors.either(vector.null, vector.failed))

    return Typed(Kind.BOOL, asked)


def _size(of: Typed) -> Typed:
    if of.kind is not Kind.STRING:
        raise MistypedError(f"`size` needs a string, not {_a(of.kind)}")

    def sized(env: Env) -> Vector:  # in bytes, as the library counts
        vector = of.run(env)
        return Vector(pc.binary_length(vector.values).cast(pa.int64()).to_numpy(), None, vectors.either(vector.null, vector.failed))

    return Typed(Kind.INT, sized)


def _as_double(of: Typed) -> Typed:
    if of.kind not in _NUMBERS:
        raise OutsideError("double of something else")

    def converted(env: Env) -> Vector:
        vector = vectors.as_double(of.run(env))
        return Vector(vector.values, None, vectors.either(vector.null, vector.failed))

    return Typed(Kind.DOUBLE, converted)


def _moment(text: str) -> Typed:
    try:
        moment = engine.constant(f'timestamp("{text}")')
    except ValueError as error:
        raise MistypedError(f"`{text}` is no timestamp; write one like 2013-01-01T00:00:00Z") from error
    ticks = Vector(np.asarray((moment - _EPOCH) // dt.timedelta(microseconds=1)))
    return Typed(Kind.TIME, lambda _: ticks)


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind is Kind.INT else f"a {kind}" if kind is not Kind.NULL else "null"
