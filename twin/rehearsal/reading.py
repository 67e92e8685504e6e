"""Reading what people wrote: YAML and JSON files, and pydantic's complaints as one plain line each."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from twin.errors import WorldError

M = TypeVar("M", bound=BaseModel)

LARGEST = 20 * 1024 * 1024
"""Bytes of the largest file that is read; a world of 1,000 hosts written out in full is a tenth of this."""


DEEPEST = 100
"""Nested lists and mappings. Counted, since Python's own limit is whatever some library has set it to."""
_JSON_STEP = re.compile(r'"(?:\\.|[^"\\])*"|[\[{]|[\]}]', re.DOTALL)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error and a time stamp stays text, as it is in JSON."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise RecursionError
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # what `<<` brings may be given anew
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise WorldError(f"{path}: is larger than {LARGEST // 1024 // 1024} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WorldError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise WorldError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file."""
    text = read_text(path)
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise WorldError(f"{path}{where}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise WorldError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise WorldError(f"{path}: is nested too deeply") from None
    except ValueError as error:
        raise WorldError(f"{path}: is not YAML: {error}") from None


def read_json(path: Path) -> Any:
    text = read_text(path)
    if _too_deep(text):
        raise WorldError(f"{path}: is nested too deeply")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise WorldError(f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    except ValueError as error:
        raise WorldError(f"{path}: is not JSON: {error}") from None


def _too_deep(text: str) -> bool:
    depth = 0
    for step in _JSON_STEP.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(step[0], 0)
        if depth > DEEPEST:
            return True
    return False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def parse(model: type[M], data: Any, where: str) -> M:
    """`data` as `model`, or a WorldError of one line: file, field, value, and what was expected."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise WorldError(f"{where}: {complaint(first, data, model)}") from None
    except RecursionError:
        raise WorldError(f"{where}: is nested too deeply") from None


def complaint(error: ErrorDetails, data: Any, model: type[BaseModel]) -> str:
    """One validation error in plain words."""
    location = _present(error["loc"], data)
    name = field_name(location)
    if error["type"] == "extra_forbidden":
        return _unknown(location, data, model, error["input"])
    if error["type"] == "missing":
        return f"{name}: is required"
    return f"{name}: {brief(error['input'])} {_reason(error)}" if name else f"{brief(data)} {_reason(error)}"


def field_name(location: Sequence[int | str]) -> str:
    """`services[3].desired_count` from its path."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def brief(value: Any) -> str:
    """A value short enough for one line."""
    text = json.dumps(value, default=str, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(name: object, valid: Sequence[str]) -> str:
    """` (did you mean …?)`, or the valid names where none is near."""
    near = difflib.get_close_matches(str(name), valid, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    listed = ", ".join(sorted(valid))
    return f"; known: {listed}" if listed and len(listed) <= 400 else ""


def _present(location: tuple[int | str, ...], data: Any) -> tuple[int | str, ...]:
    """`location` without the tags that pydantic adds for unions: only the steps that exist in `data`."""
    kept: list[int | str] = []
    here = data
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(here, Mapping) and (part in here or last):
            kept.append(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            kept.append(part)
            here = here[part]
    return tuple(kept)


def _unknown(location: Sequence[int | str], data: Any, model: type[BaseModel], value: Any) -> str:
    owner = _model_at(model, location[:-1], data)
    valid = sorted(_names(owner)) if owner else []
    return f"{field_name(location)}: {brief(value)}: there is no such field{nearest(location[-1], valid)}"


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_at(model: type[BaseModel], location: Sequence[int | str], data: Any) -> type[BaseModel] | None:
    """The model that describes the object at `location`, if it can be told."""
    candidates: list[type[BaseModel]] = [model]
    here = data
    for part in location:
        here = _step(here, part)
        if isinstance(part, int):
            continue
        candidates = [inner for owner in candidates for inner in _inner_models(owner, part)]
    tagged = [owner for owner in candidates if _tag_matches(owner, here)]
    return tagged[0] if tagged else None


def _step(here: Any, part: int | str) -> Any:
    if isinstance(here, Mapping):
        return here.get(part)
    return here[part] if isinstance(here, list) and isinstance(part, int) and part < len(here) else None


def _tag_matches(owner: type[BaseModel], here: Any) -> bool:
    kind = owner.model_fields.get("kind")
    if kind is None or not isinstance(here, Mapping) or "kind" not in here:
        return True
    return here["kind"] in getattr(kind.annotation, "__args__", (here["kind"],))


def _inner_models(owner: type[BaseModel], field: str) -> list[type[BaseModel]]:
    info = next((info for name, info in owner.model_fields.items() if field in (name, info.alias)), None)
    return _models_in(info.annotation) if info else []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


_REASONS = {
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is neither true nor false",
    "string_type": "is not text (put it in quotes)",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping of fields",
    "model_attributes_type": "is not a mapping of fields",
}


def _reason(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _REASONS:
        return _REASONS[kind]
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"is not one of {context['expected']}"
    if kind == "union_tag_invalid":
        tags = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
        return f'has the unknown {context["discriminator"]} "{context["tag"]}"{nearest(context["tag"], tags)}'
    if kind == "union_tag_not_found":
        return f"has no {context['discriminator']}"
    limits = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}
    words = {"ge": "less than", "le": "more than", "gt": "not more than", "lt": "not less than"}
    if kind in limits:
        return f"is {words[limits[kind]]} {context[limits[kind]]}"
    return error["msg"][:1].lower() + error["msg"][1:]
