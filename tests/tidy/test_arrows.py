"""Arrows between the rooms go one way, and nobody reads a clock of his own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
CAPABILITIES = ("hosts", "releases", "garbage")
REAL_CLOCK = {
    ("time", "time"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
RANDOM = {("uuid", "uuid4"), ("uuid", "uuid1"), ("os", "urandom"), ("secrets", "token_hex")}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room(path: Path) -> str:
    return ".".join(path.relative_to(FUNCTIONS).with_suffix("").parts)


def arrow_broken(module: str, imported: str) -> str | None:
    """Why `module` of the functions may not import `imported`, or None."""
    top = imported.split(".")[0]
    if top in ("twin", "cli", "tests", "benchmarks"):
        return "functions know nothing of the twin and the command line"
    handler = ".handlers." in module
    adapter = module.startswith(("caretaker.aws", "caretaker.runtime"))
    if top in ("boto3", "botocore") and not module.startswith("caretaker.aws"):
        return "only caretaker.aws meets boto3"
    if top == "pydantic" and module.startswith(("caretaker.placement", "caretaker.hosts")):
        return "the core is plain dataclasses"
    if imported.startswith("caretaker.aws") and not (handler or adapter or is_edge(module)):
        return "only handlers and their edges meet AWS"
    if ".handlers." in imported and not handler:
        return "nothing but a handler builds on handlers"
    if module.startswith("caretaker.placement") and imported.startswith(("caretaker.hosts", "caretaker.runtime")):
        return "placement is below the capabilities"
    if module.startswith(("caretaker.aws", "caretaker.runtime")) and imported.startswith(
        tuple(f"caretaker.{name}" for name in CAPABILITIES)
    ):
        return "aws and runtime are below the capabilities"
    return None


# Modules of a capability that gather or apply on behalf of its handlers: they may call the adapters, and hold no
# decision. Everything else in a capability is a plain function of plain data.
EDGES = {
    "caretaker.garbage.again",
    "caretaker.garbage.desk",
    "caretaker.garbage.inventories",
    "caretaker.garbage.judging",
    "caretaker.garbage.ledger",
    "caretaker.garbage.look",
    "caretaker.garbage.look_balancers",
    "caretaker.garbage.look_deep",
    "caretaker.garbage.look_ecs",
    "caretaker.garbage.look_gateways",
    "caretaker.garbage.look_network",
    "caretaker.garbage.look_others",
    "caretaker.garbage.look_scaling",
    "caretaker.garbage.look_schedules",
    "caretaker.garbage.looks",
    "caretaker.garbage.observe",
    "caretaker.garbage.pace",
    "caretaker.garbage.record",
    "caretaker.garbage.requests",
    "caretaker.hosts.survey",
    "caretaker.hosts.desk",
    "caretaker.hosts.steps",
    "caretaker.hosts.undo",
    "caretaker.inbound.bakes",
    "caretaker.inbound.images",
    "caretaker.inbound.resolve",
    "caretaker.releases.shift",
    "caretaker.releases.evidence",
    "caretaker.releases.desk",
    "caretaker.releases.drive",
    "caretaker.releases.drive_back",
    "caretaker.releases.drive_opening",
    "caretaker.releases.ground",
    "caretaker.releases.native",
    "caretaker.releases.record",
}


def is_edge(module: str) -> bool:
    return module in EDGES


@pytest.mark.parametrize("path", sources("functions/caretaker"), ids=room)
def test_imports_follow_the_arrows(path: Path) -> None:
    module = room(path)
    broken = {name: arrow_broken(module, name) for name in imports(parsed(path))}
    assert {name: why for name, why in broken.items() if why} == {}


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("caretaker.hosts.plan", "boto3"),
        ("caretaker.hosts.plan", "caretaker.aws.ecs"),
        ("caretaker.hosts.model", "pydantic"),
        ("caretaker.placement.fit", "caretaker.hosts.model"),
        ("caretaker.aws.ecs", "caretaker.hosts.model"),
        ("caretaker.runtime.table", "twin.kernel"),
        ("caretaker.hosts.survey", "caretaker.hosts.handlers.drain_hosts"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, imported: str) -> None:
    assert arrow_broken(module, imported)


def clock_reads(tree: ast.AST) -> list[str]:
    """Calls such as `time.time()` or `datetime.now(UTC)`, and bare names imported from those modules."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.func.attr) in REAL_CLOCK | RANDOM:
                found.append(f"line {node.lineno}: {name}.{node.func.attr}()")
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "uuid", "secrets"):
            found.extend(f"line {node.lineno}: from {node.module} import {alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("path", sources("functions/caretaker", "twin"), ids=lambda path: str(path.relative_to(ROOT)))
def test_time_and_chance_come_from_outside(path: Path) -> None:
    assert clock_reads(parsed(path)) == []


def test_a_clock_read_is_found() -> None:
    assert clock_reads(ast.parse("import time\ntime.time()"))
    assert clock_reads(ast.parse("import datetime\ndatetime.datetime.now()"))
    assert clock_reads(ast.parse("from uuid import uuid4"))


def test_no_machine_path_or_index_address_in_the_repository() -> None:
    """Committed text names neither a machine's folders nor an index's host, so that a clone works anywhere."""
    forbidden = ("/wor" + "k/", "/ro" + "ot/", "--index" + "-url", "--extra-index" + "-url")
    suffixes = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".in", ".json", ".sh", ""}
    skipped = {
        ".git",
        ".venv",
        ".venv-sam",
        ".aws-sam",
        "build",
        "node_modules",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
    }
    found = []
    for path in sorted(ROOT.rglob("*")):
        relative = path.relative_to(ROOT)
        if skipped & set(relative.parts) or any(part.endswith(".egg-info") for part in relative.parts):
            continue
        if path.is_file() and path.suffix in suffixes and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="replace")
            found.extend(f"{relative}: {word}" for word in forbidden if word in text)
    assert found == []
