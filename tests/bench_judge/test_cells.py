"""The grid of the benchmark: whole, valid, and of cases that can be told apart."""

from __future__ import annotations

import pytest

from benchmarks.judge import cells
from benchmarks.judge.cells import DEAD, NULL, OUTAGE, Cell, effects, full_grid, quick_grid

GRIDS = {"full": full_grid(), "quick": quick_grid()}


@pytest.mark.parametrize("grid", GRIDS)
def test_cells_have_names_and_seeds_of_their_own(grid: str) -> None:
    names = {cell.name for cell in GRIDS[grid]}
    assert len(names) == len({cell.seed for cell in GRIDS[grid]}) == len(GRIDS[grid])


@pytest.mark.parametrize("grid", GRIDS)
def test_every_value_of_every_side_is_there(grid: str) -> None:
    every = GRIDS[grid]
    assert {cell.rpm for cell in every} == set(cells.REQUESTS)
    assert {cell.base for cell in every} == set(cells.BASES)
    assert {cell.share for cell in every} == set(cells.SHARES)
    assert {cell.disturbance for cell in every} == set(cells.DISTURBANCES)
    assert {cell.effect for cell in every} == {NULL, *cells.RATIOS, *cells.RATES, OUTAGE, DEAD}


def test_the_full_grid_is_the_whole_product() -> None:
    corners = len(cells.REQUESTS) * len(cells.SHARES) * len(cells.DISTURBANCES)
    assert len(GRIDS["full"]) == corners * sum(len(effects(base)) for base in cells.BASES)
    assert {cell.name for cell in GRIDS["quick"]} <= {cell.name for cell in GRIDS["full"]}


@pytest.mark.parametrize("cell", GRIDS["quick"], ids=lambda cell: cell.name)
def test_a_cell_has_a_good_release_to_compare_with(cell: Cell) -> None:
    assert cell.null.is_null
    assert cell.null.rate == cell.base <= cell.rate <= 1
    assert cell.is_null or cell.rate > cell.base
    assert not cell.null.is_bad


@pytest.mark.parametrize(
    ("base", "effect", "rate", "bad"),
    [
        (0.005, "none", 0.005, False),
        (0.005, "2x", 0.01, False),
        (0.005, "3x", 0.015, True),
        (0.02, "20x", 0.4, True),
        (0.1, "1.5x", 0.15, False),
        (0.0, "0.1%", 0.001, False),
        (0.0, "0.5%", 0.005, True),
        (0.0, "outage", 1.0, True),
        (0.1, "dead", 1.0, True),
    ],
)
def test_an_effect_is_a_rate_and_bad_from_three_times_on(base: float, effect: str, rate: float, bad: bool) -> None:
    cell = Cell(300, base, effect, 0.05, "independent")
    assert cell.rate == pytest.approx(rate)
    assert cell.is_bad == bad


def test_effects_beyond_every_request_are_left_out() -> None:
    assert "20x" not in effects(0.1)
    assert effects(0.02)[:2] == (NULL, "1.5x")
    assert effects(0.0) == (NULL, *cells.RATES, OUTAGE, DEAD)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((300, 0.1, "none", 0.05, "weather"), "disturbance must be one of independent, .*, not 'weather'"),
        ((0, 0.1, "none", 0.05, "lag"), "rpm must be above 0 and at most 1,000,000, not 0"),
        ((300, 1.0, "none", 0.05, "lag"), "base must be from 0 to below 1, not 1"),
        ((300, 0.1, "none", 1.0, "lag"), "share must be between 0 and 1, not 1"),
        ((300, 0.1, "5%", 0.05, "lag"), "effect '5%' is not above the base rate 0.1"),
        ((300, 0.0, "3x", 0.05, "lag"), "effect '3x' is not above the base rate 0"),
        ((300, 0.1, "200%", 0.05, "lag"), "effect '200%' is not above the base rate 0.1, or above every request"),
        ((300, 0.1, "nanx", 0.05, "lag"), "effect 'nanx' is not above"),
        ((300, 0.1, "much", 0.05, "lag"), r"effect must be none, .* a rate \(5%\), not 'much'"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(values: tuple[float, float, str, float, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cell(*values)  # type: ignore[arg-type]
