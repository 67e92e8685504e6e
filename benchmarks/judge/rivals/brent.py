"""Brent's root finder as Kayenta runs it, over many runs at once.

Source: spinnaker/kayenta, kayenta-mannwhitney/.../KayentaBrentSolver.java (`brentDirect`), which is R's `zeroin`: an
absolute tolerance of 1e-4. The function is a step function, so what comes back is a point within the tolerance of the
step at which the sign changes, on either side of it. Which point decides Kayenta's verdict where both the interval's
end and the estimate sit on the same step (most minutes free of errors), hence the port of the very iteration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.judge.rivals.common import Bools, Floats, Ints

TOLERANCE = 1e-4
EPSILON = 2.220446049250313e-16
MOST_STEPS = 1001


def interpolated(points: tuple[Floats, Floats, Floats], values: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
    """Numerator (at least 0) and denominator of the step from b: a secant, or an inverse parabola where a is not c."""
    (a, b, c), (fa, fb, fc) = points, values
    ahead, ba, ac, bc = c - b, fb / fa, fa / fc, fb / fc
    secant = a == c
    top = np.where(secant, ahead * ba, ba * (ahead * ac * (ac - bc) - (b - a) * (bc - 1)))
    bottom = np.where(secant, 1 - ba, (ac - 1) * (bc - 1) * (ba - 1))
    return np.abs(top), np.where(top > 0, -bottom, bottom)


def next_step(
    points: tuple[Floats, Floats, Floats], values: tuple[Floats, Floats, Floats], previous: Floats, accuracy: Floats
) -> Floats:
    """How far each b moves: the interpolated step where it falls well inside, half of the bracket where not."""
    (_, b, c), (fa, fb, _) = points, values
    with np.errstate(divide="ignore", invalid="ignore"):  # where nothing can be interpolated the result is not used
        top, bottom = interpolated(points, values)
        inside = (top < 0.75 * (c - b) * bottom - np.abs(accuracy * bottom) / 2) & (top < np.abs(previous * bottom / 2))
        usable: Bools = inside & (np.abs(previous) >= accuracy) & (np.abs(fa) > np.abs(fb))
        step = np.where(usable, top / bottom, (c - b) / 2)
    return np.where(np.abs(step) < accuracy, np.where(step > 0, accuracy, -accuracy), step)


def roots(low: Floats, high: Floats, f_low: Floats, f_high: Floats, f: Callable[[Ints, Floats], Floats]) -> Floats:
    """A root of each run's function between its low and high; `f(runs, points)` evaluates the named runs."""
    found = np.where(f_low == 0, low, high)
    runs = np.flatnonzero((f_low != 0) & (f_high != 0))
    state = np.stack([low, high, low, f_low, f_high, f_low])[:, runs]
    for _ in range(MOST_STEPS):
        previous = state[1] - state[0]
        closer = np.abs(state[5]) < np.abs(state[4])
        state = np.where(closer, state[[1, 2, 1, 4, 5, 4]], state)
        accuracy = 2 * EPSILON * np.abs(state[1]) + TOLERANCE / 2
        found[runs] = state[1]
        going = (np.abs(state[2] - state[1]) / 2 > accuracy) & (state[4] != 0)
        if not going.any():
            break
        runs, state = runs[going], state[:, going]
        a, b, c, fa, fb, fc = state
        moved = b + next_step((a, b, c), (fa, fb, fc), previous[going], accuracy[going])
        f_moved = f(runs, moved)
        same_side = f_moved * fc > 0
        state = np.stack([b, moved, np.where(same_side, b, c), fb, f_moved, np.where(same_side, fb, fc)])
    return found
