"""Releases for tests of the judge: a few counts a minute, as CloudWatch would show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from caretaker.releases.counting import Row, fold
from caretaker.releases.judge import Case
from caretaker.releases.model import Arm, Basis, Minute, Signs, Zone
from caretaker.releases.sequential import Bets

STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SILENT = Arm()
PAST = 185


def arm(requests: int, errors: int = 0, errors_4xx: int = 0, slow: int = 0, **more: int) -> Arm:
    """A target group whose answers add up, and are all timed."""
    good = requests - errors - errors_4xx
    return Arm(requests, good, errors_4xx, errors, timed=requests, slow=slow, **more)


def minute(index: int, canary: Arm, baseline: Arm, weight: float | None = None) -> Minute:
    """The release's minute `index`; a negative one is history. Its baseline is spread evenly over two zones."""
    return Minute(STARTED + index * MINUTE, canary, baseline, weight, halves(baseline))


def halves(whole: Arm) -> tuple[Zone, ...]:
    """Two zones that make up a target group, as alike as can be."""
    counts = (whole.requests or 0, whole.errors_5xx, whole.errors_4xx, whole.timed, whole.slow)
    return (Zone(*(count // 2 for count in counts)), Zone(*(count - count // 2 for count in counts)))


def release(arms: Iterable[tuple[Arm, Arm]], weight: float | None = None) -> list[Minute]:
    """The release's minutes from its start on: canary and baseline of each."""
    return [minute(index, canary, baseline, weight) for index, (canary, baseline) in enumerate(arms)]


def history(baselines: Iterable[Arm]) -> list[Minute]:
    """The minutes that end with the release's start."""
    arms = list(baselines)
    return [minute(index - len(arms), SILENT, baseline) for index, baseline in enumerate(arms)]


def zoned(minutes: Sequence[Minute], zones: tuple[Zone, ...]) -> list[Minute]:
    """The same minutes, each with these zones."""
    return [replace(one, zones=zones) for one in minutes]


def case(
    minutes: Sequence[Minute],
    look: int | None = None,
    past: Sequence[Minute] = (),
    basis: Basis = "beside",
    signs: Signs | None = None,
) -> Case:
    """What the judge reads at a look; by default the one that follows the last minute."""
    end = STARTED + look * MINUTE if look is not None else minutes[-1].start + MINUTE
    return Case(minutes, past, STARTED, end, signs or Signs(), basis)


def gains(bets: Bets, canary: float, errors: float, baseline: float, others: float, phi: float = 1.0) -> list[float]:
    """The logarithm of what one minute multiplies each bet by."""
    return fold([Row(0, canary, errors, baseline, others, 1 / phi)], bets, 1)[0]
