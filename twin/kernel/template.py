"""Deploys template.yaml into a world: the only source of its rules, queues, functions, machines, tables and roles.

The template is translated by aws-sam-translator, as CloudFormation's SAM transform does; then conditions and intrinsic
functions are resolved and the resources created in order of their dependencies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import patch

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template

from twin.errors import Unmodelled, WorldError
from twin.kernel import intrinsics, resources
from twin.kernel.alarms import Alarms
from twin.kernel.bus import EventBus
from twin.kernel.gateway import Gateway
from twin.kernel.iam import MANAGED_POLICY_NAMES
from twin.kernel.kernel import Kernel
from twin.kernel.queues import Queues
from twin.kernel.resources import Created, FunctionRuntime, MachineRuntime
from twin.kernel.topics import Topics

_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Transform",
        "Description",
        "Metadata",
        "Globals",
        "Parameters",
        "Conditions",
        "Mappings",
        "Resources",
        "Outputs",
    }
)
_RESOURCE_MEMBERS = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
)
_PLACE = "s3://caretaker/"
_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


@dataclass(frozen=True)
class Deployment:
    """What was created.

    Attributes:
        resources: by logical id.
        outputs: the template's outputs.
        definitions: the state machines' definitions as deployed, JSON text by logical id.
    """

    resources: Mapping[str, Created]
    outputs: Mapping[str, Any]
    definitions: Mapping[str, str] = field(default_factory=dict)

    def logical(self, physical: str) -> str | None:
        """Logical id of the resource with this name, URL or ARN; versions and aliases give that of their function."""
        unqualified = ":".join(physical.split(":")[:7])
        return self._index.get(unqualified) or self._index.get(physical)

    @cached_property
    def _index(self) -> dict[str, str]:
        index: dict[str, str] = {}
        for created in self.resources.values():
            for name in (created.arn, created.ref):
                if name:
                    index.setdefault(name, created.logical_id)
        return index

    def of_type(self, type_: str) -> list[Created]:
        return [created for created in self.resources.values() if created.type == type_]


def deploy(
    template_path: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: Kernel,
    gateway: Gateway,
    functions: FunctionRuntime,
    machines: MachineRuntime,
    bus: EventBus,
    queues: Queues,
    topics: Topics,
    alarms: Alarms,
    stack: str = "caretaker",
) -> Deployment:
    """Deploy a SAM template. Needs `gateway.intercepted()`, since tables are moto's.

    Raises:
        WorldError: what CloudFormation or SAM would refuse.
        Unmodelled: a resource type, property, intrinsic function, … that the twin does not model.
    """
    source = Source.read(template_path)
    values = intrinsics.parameter_values(source.body.get("Parameters", {}), parameters)
    pseudo = _pseudo(kernel, stack)
    translated = source.translate({**values, **pseudo}, kernel.region)
    created: dict[str, Created] = {}
    resolver = intrinsics.Resolver(
        parameters=values,
        pseudo=pseudo,
        mappings=translated.get("Mappings", {}),
        conditions=translated.get("Conditions", {}),
        lookup=lambda logical_id, attribute: _looked_up(created, logical_id, attribute),
    )
    definitions: dict[str, str] = {}
    site = resources.Site(
        stack=stack,
        kernel=kernel,
        gateway=gateway,
        functions=functions,
        machines=machines,
        bus=bus,
        queues=queues,
        topics=topics,
        alarms=alarms,
        definition_text=lambda logical_id: definitions[logical_id],
    )
    present = _present(translated["Resources"], resolver)
    for logical_id in _in_order(present):
        body = present[logical_id]
        properties = resolver.value(body.get("Properties", {}))
        if body["Type"] == "AWS::StepFunctions::StateMachine":
            definitions[logical_id] = source.definition(logical_id, properties)
        created[logical_id] = resources.create(site, logical_id, body["Type"], properties)
    alarms.watch(functions, {c.logical_id: c.ref for c in created.values() if c.type == "AWS::Lambda::Function"})
    outputs = {
        name: resolver.value(output["Value"])
        for name, output in translated.get("Outputs", {}).items()
        if "Condition" not in output or resolver.condition(output["Condition"])
    }
    return Deployment(created, outputs, definitions)


def _pseudo(kernel: Kernel, stack: str) -> dict[str, str]:
    return {
        "AWS::AccountId": kernel.account,
        "AWS::Region": kernel.region,
        "AWS::Partition": "aws",
        "AWS::StackName": stack,
        "AWS::StackId": kernel.arn("cloudformation", f"stack/{stack}/00000000-0000-4000-8000-000000000000"),
        "AWS::URLSuffix": "amazonaws.com",
    }


def _looked_up(created: Mapping[str, Created], logical_id: str, attribute: str | None) -> Any:
    found = created.get(logical_id)
    if found is None:
        raise WorldError(f"template: {logical_id} is neither a parameter nor a resource of the stack")
    if attribute is None:
        return found.ref
    if attribute not in found.attributes:
        raise Unmodelled(f"template: attribute {attribute} of {logical_id} ({found.type})")
    return found.attributes[attribute]


def _present(declared: Mapping[str, Any], resolver: intrinsics.Resolver) -> dict[str, Any]:
    present = {}
    for logical_id, body in declared.items():
        extra = sorted(set(body) - _RESOURCE_MEMBERS)
        if extra:
            raise Unmodelled(f"template: {extra[0]} of {logical_id} ({body.get('Type')})")
        if "Condition" not in body or resolver.condition(body["Condition"]):
            present[logical_id] = body
    return present


def _in_order(present: Mapping[str, Any]) -> list[str]:
    """Logical ids so that each comes after those it refers to; otherwise in the template's order."""
    ordered: list[str] = []
    state: dict[str, str] = {}

    def visit(logical_id: str, path: tuple[str, ...]) -> None:
        if state.get(logical_id) == "done":
            return
        if state.get(logical_id) == "open":
            raise WorldError(f"template: circular dependency: {' -> '.join((*path, logical_id))}")
        state[logical_id] = "open"
        for needed in _needs(present[logical_id]):
            if needed in present:
                visit(needed, (*path, logical_id))
        state[logical_id] = "done"
        ordered.append(logical_id)

    for logical_id in present:
        visit(logical_id, ())
    return ordered


def _needs(body: Mapping[str, Any]) -> list[str]:
    depends = body.get("DependsOn", [])
    named = [depends] if isinstance(depends, str) else list(depends)
    return named + list(intrinsics.references(body.get("Properties", {})))


# --- reading and translating -----------------------------------------------------------------------------------------
@dataclass
class Source:
    """A SAM template as read from its file.

    Attributes:
        definitions: file of each state machine that has a DefinitionUri.
        code: directories that functions name as CodeUri.
    """

    path: Path
    body: dict[str, Any]
    definitions: dict[str, Path] = field(default_factory=dict)
    code: set[Path] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path) -> Source:
        try:
            body = load_yaml(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise WorldError(f"template {path}: {error.strerror}") from error
        if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
            raise WorldError(f"template {path}: no Resources")
        extra = sorted(set(body) - _SECTIONS)
        if extra:
            raise Unmodelled(f"template {path}: section {extra[0]}")
        return cls(path, body)

    def translate(self, values: Mapping[str, Any], region: str) -> dict[str, Any]:
        """The template without SAM's resource types. Local files are noted and replaced by places in S3."""
        body = json.loads(json.dumps(self.body))
        for section in (body.get("Globals", {}).get("Function", {}),):
            self._take_code(section)
        for logical_id, resource in body["Resources"].items():
            properties = resource.get("Properties", {})
            if resource.get("Type") == "AWS::Serverless::Function":
                self._take_code(properties)
            elif resource.get("Type") == "AWS::Serverless::StateMachine":
                self._take_definition(logical_id, properties)
        try:
            with patch.object(ArnGenerator, "BOTO_SESSION_REGION_NAME", region):
                return _translate(body, dict(values), region)
        except InvalidDocumentException as error:
            causes = "; ".join(str(cause.message) for cause in error.causes)
            raise WorldError(f"template {self.path}: {causes}") from error

    def _take_code(self, properties: dict[str, Any]) -> None:
        place = properties.get("CodeUri")
        if isinstance(place, str):
            directory = self.path.parent / place
            if not directory.is_dir():
                raise WorldError(f"template {self.path}: CodeUri {place} is not a directory")
            self.code.add(directory)
            properties["CodeUri"] = _PLACE + "code"

    def _take_definition(self, logical_id: str, properties: dict[str, Any]) -> None:
        place = properties.get("DefinitionUri")
        if isinstance(place, str):
            file = self.path.parent / place
            if not file.is_file():
                raise WorldError(f"template {self.path}: {logical_id}: DefinitionUri {place} is not a file")
            self.definitions[logical_id] = file
            properties["DefinitionUri"] = _PLACE + logical_id

    def definition(self, logical_id: str, properties: Mapping[str, Any]) -> str:
        """A state machine's definition as JSON text, with its substitutions filled in."""
        file = self.definitions.get(logical_id)
        where = f"state machine {logical_id}" + (f" ({file.name})" if file else "")
        text = file.read_text(encoding="utf-8") if file else properties.get("DefinitionString")
        if not isinstance(text, str):
            raise WorldError(f"template: {where} has no definition")
        filled = _substituted(text, properties.get("DefinitionSubstitutions", {}), where)
        return json.dumps(load_yaml(filled, where))


def _substituted(text: str, substitutions: Mapping[str, Any], where: str) -> str:
    """CloudFormation replaces `${Name}` as text, before the definition is parsed."""
    unused = set(substitutions)

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name not in substitutions:
            raise WorldError(f"{where}: ${{{name}}} is not among the DefinitionSubstitutions")
        unused.discard(name)
        value = substitutions[name]
        return str(value).lower() if isinstance(value, bool) else str(value)

    filled = _SUBSTITUTION.sub(replace, text)
    if unused:
        raise WorldError(f"{where}: the DefinitionSubstitution {sorted(unused)[0]} does not occur in the definition")
    return filled


def _translate(body: dict[str, Any], values: dict[str, Any], region: str) -> dict[str, Any]:
    """SAM's transform. Unlike the package's own `transform` it is told the region and reads no AWS configuration."""
    to_py27_compatible_template(body, values)  # keeps the logical ids of versions the same as on AWS
    translator = Translator(None, Parser(), boto_session=SimpleNamespace(region_name=region))
    translated = translator.translate(body, values, get_managed_policy_map=lambda: dict(MANAGED_POLICY_NAMES))
    translator.metrics.publish()  # to nowhere; kept, they complain on standard error when the next world is built
    undone: dict[str, Any] = undo_mark_unicode_str_in_template(translated)
    return undone


# libyaml reads the template ten times as fast; both loaders build the same nodes.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """YAML as CloudFormation reads it: short forms of functions, no dates, no key twice."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        key: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} occurs twice", key_node.start_mark
                )
            seen.add(key)
        built: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return built


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)


def load_yaml(text: str, where: str) -> Any:
    """YAML (or JSON) as CloudFormation reads it; `WorldError` names the place of an error."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise WorldError(f"{where}{place}: {getattr(error, 'problem', None) or error}") from error
