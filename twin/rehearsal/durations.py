"""Lengths of simulated time as people write them: `90`, `90s`, `45m`, `1h30m`, `2d`."""

from __future__ import annotations

import math
import re

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
FORMS = "seconds (90) or a length such as 45m, 1h30m, 2d"
LONGEST = 10 * 366 * 86_400
"""Ten years: nothing in a rehearsal is longer, and a typing error should not run for ever."""


def seconds(value: object) -> float:
    """`value` in seconds. Raises ValueError that says which forms are understood."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"is not a length of time: give {FORMS}")
    result = float(value) if isinstance(value, (int, float)) else _parse(value.strip())
    if not math.isfinite(result) or result < 0:
        raise ValueError(f"is not a length of time: give {FORMS}")
    if result > LONGEST:
        raise ValueError("is longer than ten years")
    return result


def _parse(text: str) -> float:
    if _WHOLE.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is not a length of time: give {FORMS}") from None


def show(length: float) -> str:
    """`length` seconds for people: `45s`, `12m 05s`, `3h 02m`, `2d 4h`."""
    total = round(length)
    if total < 60:
        return f"{total}s"
    if total < 3_600:
        return f"{total // 60}m {total % 60:02d}s"
    if total < 86_400:
        return f"{total // 3_600}h {total % 3_600 // 60:02d}m"
    return f"{total // 86_400}d {total % 86_400 // 3_600}h"
