"""CloudFormation's intrinsic functions, conditions, parameters and mappings.

Source: CloudFormation template reference, "Intrinsic functions", "Parameters", "Pseudo parameters". A function that is
not listed here raises `Unmodelled`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.errors import Unmodelled, WorldError

NO_VALUE = object()
"""What `AWS::NoValue` is: the property is left out."""

_SUB = re.compile(r"\$\{(!?)([^${}]+)\}")
Lookup = Callable[[str, str | None], Any]


@dataclass
class Resolver:
    """Evaluates the values of one template.

    Args:
        parameters: by name, with their types applied.
        pseudo: pseudo parameters, e.g. `AWS::Region`.
        lookup: `(logical id, attribute)` → value; attribute None asks for what `Ref` gives.
    """

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, str]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    lookup: Lookup
    _decided: dict[str, bool] = field(default_factory=dict)

    def value(self, node: Any) -> Any:
        """`node` with every intrinsic function replaced by its value; properties of no value are gone."""
        if isinstance(node, list):
            return [made for made in map(self.value, node) if made is not NO_VALUE]
        if not isinstance(node, Mapping):
            return node
        found = _intrinsic(node)
        if found is not None:
            return self._apply(*found)
        resolved = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def condition(self, name: str) -> bool:
        """Whether the template's condition `name` holds."""
        if name not in self._decided:
            if name not in self.conditions:
                raise WorldError(f"template: condition {name} does not exist")
            self._decided[name] = bool(self.value(self.conditions[name]))
        return self._decided[name]

    def _apply(self, name: str, argument: Any) -> Any:
        method = _FUNCTIONS.get(name)
        if method is None:
            raise Unmodelled(f"template: intrinsic function {name}")
        return method(self, argument)

    def ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        if name in self.pseudo:
            return self.pseudo[name]
        if str(name).startswith("AWS::"):
            raise Unmodelled(f"template: pseudo parameter {name}")
        return self.lookup(name, None)

    def get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else map(self.value, argument)
        return self.lookup(logical_id, attribute)

    def sub(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})
        local = {key: self.value(item) for key, item in own.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return "${" + name + "}"
            if name in local:
                return _text(local[name])
            return _text(self.get_att(name) if "." in name else self.ref(name))

        return _SUB.sub(replace, text)

    def join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator).join(_text(item) for item in self.value(items))

    def select(self, argument: Any) -> Any:
        index, items = self.value(argument)
        if not 0 <= int(index) < len(items):
            raise WorldError(f"template: Fn::Select {index} of {len(items)} values")
        return items[int(index)]

    def split(self, argument: Any) -> list[str]:
        separator, text = self.value(argument)
        return str(text).split(separator)

    def choose(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.value(then if self.condition(name) else otherwise)

    def equals(self, argument: Any) -> bool:
        one, other = self.value(argument)
        return _text(one) == _text(other)

    def find_in_map(self, argument: Any) -> Any:
        name, top, second = self.value(argument)
        try:
            return self.mappings[name][top][second]
        except KeyError as missing:
            raise WorldError(f"template: Fn::FindInMap {name}/{top}/{second}: no {missing}") from missing


_FUNCTIONS: Mapping[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver.ref,
    "Condition": lambda self, name: self.condition(name),
    "Fn::GetAtt": Resolver.get_att,
    "Fn::Sub": Resolver.sub,
    "Fn::Join": Resolver.join,
    "Fn::Select": Resolver.select,
    "Fn::Split": Resolver.split,
    "Fn::If": Resolver.choose,
    "Fn::Equals": Resolver.equals,
    "Fn::And": lambda self, argument: all(self.value(item) for item in argument),
    "Fn::Or": lambda self, argument: any(self.value(item) for item in argument),
    "Fn::Not": lambda self, argument: not self.value(argument[0]),
    "Fn::FindInMap": Resolver.find_in_map,
    "Fn::Base64": lambda self, argument: base64.b64encode(_text(self.value(argument)).encode()).decode(),
}


def _intrinsic(node: Mapping[str, Any]) -> tuple[str, Any] | None:
    if len(node) != 1:
        return None
    name, argument = next(iter(node.items()))
    if name == "Condition":
        return (name, argument) if isinstance(argument, str) else None
    return (name, argument) if name == "Ref" or str(name).startswith("Fn::") else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | Mapping):
        raise WorldError(f"template: {value!r} where text is needed")
    return str(value)


def references(node: Any) -> Iterator[str]:
    """Names that `Ref`, `Fn::GetAtt` and `Fn::Sub` within `node` refer to: resources, parameters, pseudo parameters."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, Mapping):
        found = _intrinsic(node)
        if found is None:
            for item in node.values():
                yield from references(item)
        else:
            yield from _referred(*found)


def _referred(name: str, argument: Any) -> Iterator[str]:
    if name == "Ref":
        yield str(argument)
    elif name == "Fn::GetAtt":
        yield argument.split(".", 1)[0] if isinstance(argument, str) else str(argument[0])
    elif name == "Fn::Sub":
        text, own = argument if isinstance(argument, list) else (argument, {})
        local = set(own)
        for match in _SUB.finditer(text):
            logical = match[2].strip().split(".", 1)[0]
            if not match[1] and logical not in local:
                yield logical
        yield from references(list(own.values()))
    elif name != "Condition":
        yield from references(argument)


# --- parameters ------------------------------------------------------------------------------------------------------
def parameter_values(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the template's parameters: given ones, else defaults; `WorldError` names a bad one."""
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise WorldError(f"parameters: the template has no parameter {unknown[0]}")
    return {name: _parameter(name, rules, given) for name, rules in declared.items()}


def _parameter(name: str, rules: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if name not in given and "Default" not in rules:
        raise WorldError(f"parameters: {name} has no default and was not given")
    text = _text(given.get(name, rules.get("Default")))
    _check_parameter(name, rules, text)
    kind = rules.get("Type", "String")
    if kind == "CommaDelimitedList" or kind == "List<Number>":
        return [part.strip() for part in text.split(",")]
    if kind not in ("String", "Number"):
        raise Unmodelled(f"template: parameter {name} of type {kind}")
    return text


def _check_parameter(name: str, rules: Mapping[str, Any], text: str) -> None:
    allowed = [_text(value) for value in rules.get("AllowedValues", ())]
    if allowed and text not in allowed:
        raise WorldError(f"parameters: {name}={text} is none of {', '.join(allowed)}")
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], text):
        raise WorldError(f"parameters: {name}={text} does not match {rules['AllowedPattern']}")
    if not int(rules.get("MinLength", 0)) <= len(text) <= int(rules.get("MaxLength", 4096)):
        raise WorldError(f"parameters: {name}={text} is too short or too long")
    if rules.get("Type") == "Number":
        _check_number(name, rules, text)


def _check_number(name: str, rules: Mapping[str, Any], text: str) -> None:
    try:
        number = float(text)
    except ValueError as error:
        raise WorldError(f"parameters: {name}={text} is not a number") from error
    low, high = float(rules.get("MinValue", "-inf")), float(rules.get("MaxValue", "inf"))
    if not low <= number <= high:
        raise WorldError(f"parameters: {name}={text} is not between {low:.15g} and {high:.15g}")
