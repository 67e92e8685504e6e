"""The rates in docs/observation.md are those that an observation goes by."""

from __future__ import annotations

from pathlib import Path

from caretaker.aws.listing import Rate
from caretaker.garbage.looks import LOOKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "observation.md"


def test_the_page_lists_every_rate_with_its_operations() -> None:
    of_rate: dict[Rate, set[str]] = {}
    for look in LOOKS.values():
        of_rate.setdefault(look.listing.rate, set()).add(look.listing.operation)
    rows = [
        f"| {rate.name} | {rate.burst} | {rate.per_second:g} | {', '.join(f'`{one}`' for one in sorted(named))} "
        f"| {rate.source} |"
        for rate, named in of_rate.items()
    ]
    text = PAGE.read_text(encoding="utf-8").splitlines()
    head = text.index("| bucket | holds | a second | operations | source |")
    assert sorted(text[head + 2 : text.index("<!-- end of rates -->")]) == sorted(rows)


def test_every_operation_that_is_read_is_in_the_template() -> None:
    """What may not be read counts as in use: a forgotten permission would keep everything."""
    template = (PAGE.parents[1] / "template.yaml").read_text(encoding="utf-8")
    assert [look.listing.operation for look in LOOKS.values() if f"{look.listing.operation}\n" not in template] == []
