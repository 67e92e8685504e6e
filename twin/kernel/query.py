"""JSONata as Step Functions evaluates it: parsed once, bound to `$states` and the workflow's variables.

Differences between plain JSONata and that of Step Functions (Step Functions Developer Guide, "Transforming data with
JSONata"): `$partition`, `$range`, `$hash`, `$random(seed)`, `$uuid` and `$parse` exist, `$eval` does not, and an
expression that returns nothing or a function is an error. `$now()` and `$millis()` give simulated time.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonata.functions
import jsonata.timebox
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from twin.kernel import virtual

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class QueryError(Exception):
    """An expression that Step Functions answers with `States.QueryEvaluationError`."""


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression (without its `{% %}`).

    Args:
        variables: by name without `$`; JSON values. Never changed; the result shares nothing with them.

    Raises:
        QueryError: the evaluation failed, or returned nothing or something that is not JSON.
    """
    try:
        result = _parsed(expression).evaluate(None, {name: _with_nulls(value) for name, value in variables.items()})
    except QueryError:
        raise
    except Exception as error:  # jsonata-python's own errors, and Python's for e.g. a division by zero
        raise QueryError(f"The JSONata expression '{expression}' threw an error during evaluation. {error}") from error
    if result is None:
        raise QueryError(f"The JSONata expression '{expression}' returned nothing (undefined).")
    return _plain(result, expression)


def check(expression: str) -> None:
    """Raise `QueryError` for an expression that Step Functions refuses when the machine is created."""
    _parsed(expression)


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> Any:
    try:
        parsed = Jsonata(expression)
    except JException as error:
        raise QueryError(f"The JSONata expression '{expression}' is invalid. {error}") from error
    parsed.set_output_convert_nulls(False)  # keeps null apart from nothing
    for name, function in _FUNCTIONS.items():
        parsed.register_lambda(name, function)
    return parsed


def _with_nulls(value: Any) -> Any:
    """jsonata-python reads None as nothing, except as a value within an object."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, list) and any(item is None or isinstance(item, list | dict) for item in value):
        return [_with_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_nulls(item) for name, item in value.items()}
    return value


def _plain(value: Any, expression: str) -> Any:
    """The result as plain JSON values, with whole numbers as integers, as they are printed."""
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QueryError(f"The JSONata expression '{expression}' returned a number out of range.")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {str(name): _plain(item, expression) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(value[index], expression) for index in range(len(value))]
    raise QueryError(f"The JSONata expression '{expression}' returned an unsupported result type.")


# --- functions that Step Functions adds or takes away -----------------------------------------------------------------
def _number(function: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JException("T0410", -1, 1, function)
    return value


def _partition(array: Any = None, size: Any = None) -> Any:
    if array is None:
        return None
    items = array if isinstance(array, list) else [array]
    length = int(_number("partition", size))
    if length <= 0:
        raise JException("T0410", -1, 2, "partition")
    return [[items[i] for i in range(start, min(start + length, len(items)))] for start in range(0, len(items), length)]


def _range(first: Any = None, last: Any = None, step: Any = None) -> Any:
    start, end, delta = (int(_number("range", number)) for number in (first, last, step))
    if delta == 0:
        raise JException("T0410", -1, 3, "range")
    return list(range(start, end + (1 if delta > 0 else -1), delta))


def _hash(value: Any = None, algorithm: Any = "SHA-256") -> Any:
    if value is None:
        return None
    name = _HASHES.get(algorithm)
    if name is None or not isinstance(value, str):
        raise JException("T0410", -1, 2 if name is None else 1, "hash")
    return hashlib.new(name, value.encode()).hexdigest()


def _random(seed: Any = None) -> float:
    if seed is not None:
        return random.Random(str(seed)).random()
    return float(virtual.random.random())


def _uuid() -> str:
    return str(virtual.new_uuid())


def _parse(text: Any = None) -> Any:
    if text is None:
        return None
    try:
        return _with_nulls(json.loads(text))
    except (TypeError, ValueError) as error:
        raise JException("D3120", -1, str(error)) from error


def _no_eval(*_arguments: Any) -> Any:
    raise JException("T1006", -1, "eval")


_FUNCTIONS = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": _uuid,
    "parse": _parse,
    "eval": _no_eval,
}

for _module in (jsonata.timebox, jsonata.functions):
    virtual.stand_in(_module)
