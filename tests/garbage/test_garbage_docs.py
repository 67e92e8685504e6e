"""The table of needed readings in docs/proof.md is the one that the code goes by."""

from __future__ import annotations

from pathlib import Path

from caretaker.garbage.needs import NEEDS, Need, Scope

PAGE = Path(__file__).resolve().parents[2] / "docs" / "proof.md"
COMMON = set.intersection(*({need.operation for need in needs} for needs in NEEDS.values()))


def words(need: Need) -> str:
    if need.scope is Scope.ACCOUNT:
        return f"`{need.operation}`"
    of = f"each item of `{need.each}`" if need.scope is Scope.EACH else need.scope.value
    return f"`{need.operation}` of {of}"


def rows() -> list[str]:
    found = []
    for kind, needs in NEEDS.items():
        told = dict.fromkeys(words(need) for need in needs if need.operation not in COMMON)
        found.append(f"| {kind} | {', '.join(told) or 'nothing'} |")
    return found


def test_the_page_lists_the_needs_of_each_kind() -> None:
    text = PAGE.read_text(encoding="utf-8").splitlines()
    table = text[text.index("| kind | also |") + 2 : text.index("<!-- end -->")]
    assert table == rows()
