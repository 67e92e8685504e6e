"""What the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def rows() -> list[str]:
    text = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("| ")]
    return [line for line in found if not line.startswith(("| behaviour", "| ---"))]


def test_every_row_of_the_fidelity_table_names_tests_that_exist() -> None:
    assert len(rows()) > 100
    for row in rows():
        named = re.findall(r"(tests/[\w/]+\.py)(?:::(test_\w+))?", row.split("|")[-2])
        assert named, f"no test in: {row}"
        for path, name in named:
            assert (ROOT / path).is_file(), f"{path} in: {row}"
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE), f"{path}::{name} in: {row}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
