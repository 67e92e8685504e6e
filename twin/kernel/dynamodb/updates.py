"""Updates of an item, as their expression says.

Source: DynamoDB Developer Guide, "Using update expressions": SET, REMOVE, ADD, DELETE; every operand is what it was
before the update.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from twin.errors import AwsError
from twin.kernel.dynamodb.expressions import Clause, Path, Scope, found
from twin.kernel.dynamodb.operands import LACKS, WRONG, wrong_operand
from twin.kernel.dynamodb.values import Item, Value, added, checked, invalid, kind_of, number


def updated(clauses: tuple[Clause, ...], scope: Scope, item: Item, keys: tuple[str, ...]) -> Item:
    """The item after an update. ValidationException where it cannot be made, or would change the key."""
    paths = [scope.path(clause.path) for clause in clauses]
    _check_paths(paths, keys)
    given = [clause.operand(scope, item) if clause.operand else None for clause in clauses]
    after: Item = deepcopy(item)
    for clause, path, value in zip(clauses, paths, given, strict=True):
        if clause.word == "REMOVE":
            take(after, path)
        elif clause.word == "SET":
            assert value is not None
            put(after, path, checked(value))
        elif clause.word == "ADD":
            _add(after, path, value)
        else:
            _delete(after, path, value)
    return after


def _check_paths(paths: list[Path], keys: tuple[str, ...]) -> None:
    for path in paths:
        if path[0] in keys:
            text = f"Cannot update attribute {path[0]}. This attribute is part of the key"
            raise invalid(f"One or more parameter values were invalid: {text}")
    for place, path in enumerate(paths):
        for other in paths[place + 1 :]:
            short = min(len(path), len(other))
            if path[:short] == other[:short]:
                text = f"path one: {_shown(path)}, path two: {_shown(other)}"
                raise invalid(f"Invalid UpdateExpression: Two document paths overlap with each other; {text}")


def _shown(path: Path) -> str:
    return f"[{', '.join(map(str, path))}]"


def _add(item: Item, path: Path, value: Value | None) -> None:
    if value is None:
        raise invalid(LACKS)
    present, kind = found(item, path), kind_of(value)
    if kind not in ("N", "SS", "NS", "BS"):
        raise wrong_operand("Update", f"ADD, operand type: {kind}")
    if present is None:
        put(item, path, checked(value))
        return
    if kind_of(present) != kind:
        raise invalid(WRONG)
    if kind == "N":
        put(item, path, {"N": added(number(present["N"]), number(value["N"]))})
    else:
        more = checked(value)[kind]
        put(item, path, {kind: [*present[kind], *(each for each in more if each not in present[kind])]})


def _delete(item: Item, path: Path, value: Value | None) -> None:
    if value is None:
        raise invalid(LACKS)
    kind, present = kind_of(value), found(item, path)
    if kind not in ("SS", "NS", "BS"):
        raise wrong_operand("Update", f"DELETE, operand type: {kind}")
    if present is None:
        return
    if kind_of(present) != kind:
        raise invalid(WRONG)
    gone = checked(value)[kind]
    left = [each for each in present[kind] if each not in gone]
    if left:
        put(item, path, {kind: left})
    else:
        take(item, path)


# --- writing at a path ---------------------------------------------------------------------------------------------
def put(item: Item, path: Path, value: Value) -> None:
    """Set the value at a path. ValidationException where what holds it is not there."""
    *above, last = path
    holder = _holder(item, tuple(above))
    if isinstance(last, str):
        if "M" not in holder:
            raise _bad_path()
        holder["M"][last] = value
    elif "L" not in holder:
        raise _bad_path()
    elif last < len(holder["L"]):
        holder["L"][last] = value
    else:
        holder["L"].append(value)


def take(item: Item, path: Path) -> None:
    """Remove what is at a path, if anything is."""
    *above, last = path
    holder = _holder(item, tuple(above))
    if isinstance(last, str):
        if "M" not in holder:
            raise _bad_path()
        holder["M"].pop(last, None)
    elif "L" not in holder:
        raise _bad_path()
    elif last < len(holder["L"]):
        del holder["L"][last]


def _holder(item: Item, path: Path) -> Any:
    holder: Any = {"M": item}
    for part in path:
        inner = holder.get("M" if isinstance(part, str) else "L")
        if inner is None or (part not in inner if isinstance(part, str) else part >= len(inner)):
            raise _bad_path()
        holder = inner[part]
    return holder


def _bad_path() -> AwsError:
    return invalid("The document path provided in the update expression is invalid for update")
