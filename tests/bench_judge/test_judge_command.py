"""The benchmark's command: cells of one's own, and what it refuses before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.judge import pages
from benchmarks.judge.__main__ import chosen, main, parser
from benchmarks.judge.cells import NULL, OUTAGE, Cell


def test_cells_of_ones_own_come_with_their_good_release() -> None:
    line = "--rpm 450 --base 0.003 --effect 4x outage --share 0.1 --disturbance lag"
    assert chosen(parser().parse_args(line.split())) == [
        Cell(450.0, 0.003, effect, 0.1, "lag") for effect in (NULL, "4x", OUTAGE)
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--rpm 0", "rpm must be above 0"),
        ("--share 1", "share must be between 0 and 1, not 1"),
        ("--base 0.01 --effect 0.5x", "effect '0.5x' is not above the base rate 0.01"),
        ("--disturbance weather", "disturbance must be one of "),
        ("--runs 0", "runs must be at least 1, not 0"),
        ("--seed -1", "seed must be at least 0, not -1"),
        ("--write nowhere/judge", "nowhere/judge.md must be there, with the lines "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"bad input: {words}")
    assert said.err.count("\n") == 1
    assert not said.out


def test_figures_have_their_place_in_the_page() -> None:
    before, after = pages.around(Path(__file__).parents[2] / "docs" / "judge")
    assert before.startswith("# The judge of a release")
    assert "## Where a rival is better" in after
    assert pages.BEGIN not in before
