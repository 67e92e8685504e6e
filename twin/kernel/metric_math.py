"""CloudWatch's metric math, as far as alarms on errors and ratios use it.

Source: CloudWatch user guide "Using math expressions with CloudWatch metrics": operators treat a missing value as 0, a
division by zero drops the datapoint; comparisons give 0 or 1. Modelled: + - * / ^, comparisons, AND and OR,
parentheses, arrays, ABS AVG CEIL FILL FLOOR IF MAX METRICS METRIC_COUNT MIN PERIOD SUM. Other functions are Unmodelled.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from twin.errors import AwsError, Unmodelled

Series = Mapping[int, float]
"""A time series: values by time stamp."""
Value = float | Series | list[Series]

_NUMBER = r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_TOKEN = re.compile(rf"""\s*(?:{_NUMBER}|([A-Za-z_]\w*)|("[^"]*"|'[^']*')|(&&|\|\||[<>=!]=|\S))""")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_KNOWN = re.compile(
    "ANOMALY_DETECTION_BAND|DATAPOINT_COUNT|DAY|DIFF|DIFF_TIME|EPOCH|FIRST|HOUR|INSIGHT_RULE_METRIC|LAMBDA|LAST|LOG|LOG10|"
    "MINUTE|MONTH|RATE|REMOVE_EMPTY|RUNNING_SUM|SEARCH|SERVICE_QUOTA|SLICE|SORT|STDDEV|TIME_SERIES|YEAR"
)
"""Functions that CloudWatch has and the twin does not."""


@dataclass(frozen=True)
class Scope:
    """What an expression can see.

    Attributes:
        series: of the queries, by id.
        metrics: ids of those that are metrics, not expressions.
        periods: of the metrics, seconds, by id.
        stamps: every time stamp of the range.
    """

    series: Mapping[str, Series]
    metrics: Sequence[str]
    periods: Mapping[str, int]
    stamps: Sequence[int]


def evaluate(expression: str, scope: Scope) -> Series:
    """The one time series that the expression gives. AwsError for a wrong expression."""
    value = _Parser(expression, scope).whole()
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, list):
        raise Unmodelled(f"cloudwatch: the expression {expression!r} gives several time series")
    if isinstance(value, Mapping):
        return value
    raise _wrong(expression, "the result must be a time series, not a scalar")


def names(expression: str) -> set[str]:
    """The ids that an expression names; METRICS() names every one."""
    return {match[2] for match in _TOKEN.finditer(expression) if match[2] and match[2][0].islower()}


def _wrong(expression: str, why: str) -> AwsError:
    return AwsError("ValidationError", f"Error in expression '{expression}': {why}")


Token = tuple[str, str | None, str | None]
"""Its text, and that as a number or as a name, if it is one."""


@lru_cache(maxsize=1_000)
def _tokens(expression: str) -> tuple[Token, ...]:
    """Alarms look at the same expression every minute."""
    found = _TOKEN.finditer(expression.strip())
    return tuple((match[0].strip(), match[1], match[2]) for match in found if match[0].strip())


class _Parser:
    """Recursive descent that computes as it reads."""

    def __init__(self, expression: str, scope: Scope) -> None:
        self._expression = expression
        self._scope = scope
        self._tokens = _tokens(expression)
        self._at = 0

    def whole(self) -> Value:
        value = self._either()
        if self._at < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._at][0]}")
        return value

    # --- reading -----------------------------------------------------------------------------------------------------
    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str | None:
        if self._peek() not in wanted:
            return None
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise self._error(f"{wanted} is missing")

    def _error(self, why: str) -> AwsError:
        return _wrong(self._expression, why)

    # --- operators, loosest first ------------------------------------------------------------------------------------
    def _either(self) -> Value:
        value = self._both()
        while self._take("OR", "||"):
            value = self._combined(value, self._both(), lambda a, b: float(bool(a) or bool(b)))
        return value

    def _both(self) -> Value:
        value = self._compared()
        while self._take("AND", "&&"):
            value = self._combined(value, self._compared(), lambda a, b: float(bool(a) and bool(b)))
        return value

    def _compared(self) -> Value:
        value = self._sum()
        while sign := self._take(*_COMPARE):
            compare = _COMPARE[sign]
            value = self._combined(value, self._sum(), lambda a, b, c=compare: float(c(a, b)))  # type: ignore[misc]
        return value

    def _sum(self) -> Value:
        value = self._product()
        while sign := self._take("+", "-"):
            value = self._combined(value, self._product(), operator.add if sign == "+" else operator.sub)
        return value

    def _product(self) -> Value:
        value = self._unary()
        while sign := self._take("*", "/"):
            value = self._combined(value, self._unary(), operator.mul if sign == "*" else operator.truediv)
        return value

    def _unary(self) -> Value:
        if self._take("-"):
            return _each(self._unary(), operator.neg)
        return self._power()

    def _power(self) -> Value:
        value = self._atom()
        if self._take("^"):
            return self._combined(value, self._unary(), operator.pow)
        return value

    def _atom(self) -> Value:
        if self._take("("):
            value = self._either()
            self._need(")")
            return value
        if self._take("["):
            return self._array()
        if self._at >= len(self._tokens):
            raise self._error("it ends too early")
        text, number, name = self._tokens[self._at]
        self._at += 1
        if number:
            return float(number)
        if not name:
            raise self._error(f"unexpected {text}")
        if self._take("("):
            return self._call(name)
        if name not in self._scope.series:
            raise self._error(f"{name} is no id of a query")
        return self._scope.series[name]

    def _array(self) -> list[Series]:
        found: list[Series] = []
        for value in self._arguments("]"):
            if isinstance(value, list):
                found += value
            elif isinstance(value, Mapping):
                found.append(value)
            else:
                raise self._error("an array holds time series only")
        return found

    def _arguments(self, end: str) -> list[Value]:
        found: list[Value] = []
        while not self._take(end):
            if found:
                self._need(",")
            found.append(self._either())
        return found

    # --- functions ---------------------------------------------------------------------------------------------------
    def _call(self, name: str) -> Value:
        if name == "METRICS":
            return self._metrics()
        if name == "PERIOD":
            metric = self._peek()
            if metric not in self._scope.periods:
                raise self._error(f"PERIOD takes the id of a metric, not {metric}")
            self._at += 1
            self._need(")")
            return float(self._scope.periods[metric])
        functions: Mapping[str, Callable[..., Value]] = {
            "ABS": lambda value: _each(value, abs),
            "CEIL": lambda value: _each(value, math.ceil),
            "FLOOR": lambda value: _each(value, math.floor),
            "SUM": lambda value: _gathered(value, sum),
            "MIN": lambda value: _gathered(value, min),
            "MAX": lambda value: _gathered(value, max),
            "AVG": lambda value: _gathered(value, lambda values: sum(values) / len(values)),
            "METRIC_COUNT": lambda value: float(len(value)),
            "FILL": self._fill,
            "IF": self._if,
        }
        if name not in functions:
            if _KNOWN.fullmatch(name):
                raise Unmodelled(f"cloudwatch: the function {name} of metric math")
            raise self._error(f"{name} is no function")
        arguments = self._arguments(")")
        try:
            return functions[name](*arguments)
        except TypeError:
            raise self._error(f"{name} does not take such arguments") from None

    def _metrics(self) -> list[Series]:
        wanted = ""
        if self._peek()[:1] in ('"', "'"):
            wanted = self._peek()[1:-1]
            self._at += 1
        self._need(")")
        return [self._scope.series[name] for name in self._scope.metrics if wanted in name]

    def _fill(self, value: Value, filler: Value) -> Value:
        if isinstance(value, list):
            return [self._filled(series, filler) for series in value]
        if isinstance(value, Mapping):
            return self._filled(value, filler)
        raise self._error("FILL takes a time series")

    def _filled(self, series: Series, filler: Value) -> Series:
        if isinstance(filler, list):
            raise self._error("FILL fills with a number or one time series")
        given: Series = filler if isinstance(filler, Mapping) else dict.fromkeys(self._scope.stamps, filler)
        return dict(sorted({**given, **series}.items()))

    def _if(self, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
        if isinstance(condition, list) or isinstance(then, list) or isinstance(otherwise, list):
            raise Unmodelled("cloudwatch: IF with arrays of time series")
        if not isinstance(condition, Mapping):
            chosen = then if condition else otherwise
            return chosen if chosen is not None else {}
        result: dict[int, float] = {}
        for stamp, truth in condition.items():
            # Documented: a missing true value is 0, a missing false value drops the datapoint.
            value = _at(then, stamp, 0.0) if truth else _at(otherwise, stamp, None)
            if value is not None:
                result[stamp] = value
        return result

    def _combined(self, left: Value, right: Value, act: Callable[[Any, Any], Any]) -> Value:
        if isinstance(left, list) and isinstance(right, list):
            raise self._error("two arrays of time series cannot be combined")
        if isinstance(left, list):
            return [_series(self._combined(each, right, act)) for each in left]
        if isinstance(right, list):
            return [_series(self._combined(left, each, act)) for each in right]
        if not isinstance(left, Mapping) and not isinstance(right, Mapping):
            result = _safely(act, left, right)
            if result is None:
                raise self._error("division by zero")
            return result
        return _pairwise(left, right, act)


def _series(value: Value) -> Series:
    assert isinstance(value, Mapping)
    return value


def _at(value: Value | None, stamp: int, missing: float | None) -> float | None:
    if isinstance(value, Mapping):
        return value.get(stamp, missing)
    return value if isinstance(value, float) else None


def _pairwise(left: float | Series, right: float | Series, act: Callable[[Any, Any], Any]) -> Series:
    stamps = {stamp for side in (left, right) if isinstance(side, Mapping) for stamp in side}
    made = {stamp: _safely(act, _at(left, stamp, 0.0), _at(right, stamp, 0.0)) for stamp in sorted(stamps)}
    return {stamp: value for stamp, value in made.items() if value is not None}


def _safely(act: Callable[[Any, Any], Any], left: Any, right: Any) -> float | None:
    """None where CloudWatch drops the datapoint."""
    try:
        result = act(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return None if isinstance(result, complex) else float(result)


def _each(value: Value, act: Callable[[float], float]) -> Value:
    if isinstance(value, list):
        return [{stamp: float(act(item)) for stamp, item in series.items()} for series in value]
    if isinstance(value, Mapping):
        return {stamp: float(act(item)) for stamp, item in value.items()}
    return float(act(value))


def _gathered(value: Value, act: Callable[[list[float]], float]) -> Value:
    """Over one series a scalar, over an array a series; missing values count as 0."""
    if isinstance(value, Mapping):
        return float(act(list(value.values()))) if value else 0.0
    if not isinstance(value, list):
        raise TypeError
    stamps = sorted({stamp for series in value for stamp in series})
    return {stamp: float(act([series.get(stamp, 0.0) for series in value])) for stamp in stamps}
