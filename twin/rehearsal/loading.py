"""World files: read, extended, checked, named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin.errors import WorldError
from twin.rehearsal.names import problems
from twin.rehearsal.reading import brief, parse, read_yaml
from twin.rehearsal.spec import WorldSpec

DEEPEST = 5
"""How many worlds may extend one another."""


@dataclass(frozen=True)
class LoadedWorld:
    """A checked world and where it came from; `folder` is where its own files are looked for."""

    spec: WorldSpec
    where: str
    folder: Path


def load_world(path: Path) -> LoadedWorld:
    """Read a world file. Raises WorldError: one line with file, field and value."""
    return world_of(_read(path, ()), str(path), path.parent, path.stem)


def world_of(data: Any, where: str, folder: Path, name: str = "world") -> LoadedWorld:
    """A world from parsed YAML."""
    spec = parse(WorldSpec, {"name": name, **_mapping(data, where)}, where)
    for problem in problems(spec):
        raise WorldError(f"{where}: {problem}")
    return LoadedWorld(spec, where, folder)


def _mapping(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise WorldError(f"{where}: {brief(data)} is not a world (a mapping of fields)")
    return data


def _read(path: Path, through: tuple[Path, ...]) -> dict[str, Any]:
    """A world file's fields; with `extends`, those of the other world under its own."""
    data = dict(_mapping(read_yaml(path), str(path)))
    if "extends" not in data:
        return data
    other = data.pop("extends")
    if not isinstance(other, str):
        raise WorldError(f"{path}: extends: {brief(other)} is not the name of a file")
    base = path.parent / other
    if base.resolve() in (each.resolve() for each in (*through, path)):
        raise WorldError(f"{path}: extends: {brief(other)} extends this world in turn")
    if len(through) >= DEEPEST:
        raise WorldError(f"{path}: extends: more than {DEEPEST} worlds deep")
    fields = _read(base, (*through, path))
    world_of(fields, str(base), base.parent, base.stem)  # so that its own mistakes carry its own name
    fields.pop("name", None)
    fields.pop("expect", None)
    fields["events"] = [_moved(event, base.parent, path.parent) for event in fields.get("events", [])]
    return fields | data


def _moved(event: Mapping[str, Any], from_folder: Path, to_folder: Path) -> Mapping[str, Any]:
    """An event of the other world, its file named as seen from this one."""
    if "file" not in event or from_folder.resolve() == to_folder.resolve():
        return event
    return {**event, "file": str((from_folder / str(event["file"])).resolve())}
