"""How many calls a part of an observation may make, so that each API's bucket stays half full for everybody else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from caretaker.aws.listing import Rate

# Calls of one part, far from what a function can make in the time that it has.
CALLS = 400
# The longest that botocore tries one call, with its time-outs (caretaker.aws.clients), in milliseconds.
_ONE_CALL = 25_000


class Pace:
    """How many calls a part may still make, by bucket.

    Attributes:
        calls: made so far.
    """

    def __init__(self, remaining: Callable[[], int] | None, calls: int = CALLS) -> None:
        self._remaining = remaining
        self._left = calls
        self._made: Counter[Rate] = Counter()
        self._empty: set[Rate] = set()
        self.calls = 0

    def allows(self, rate: Rate) -> bool:
        """Whether one more call may be made: half of a bucket belongs to everybody else."""
        return self._left > 0 and rate not in self._empty and self._made[rate] < max(1, rate.burst // 2)

    def took(self, rate: Rate) -> None:
        self._made[rate] += 1
        self.calls += 1
        self._left -= 1

    def throttled(self, rate: Rate) -> None:
        """Somebody else has emptied the bucket: no more of it in this part."""
        self._empty.add(rate)

    @property
    def over(self) -> bool:
        """Nothing may be begun any more: too many calls, or too little time for one with all of its retries."""
        return self._left <= 0 or (self._remaining is not None and self._remaining() < _ONE_CALL)

    @property
    def seconds(self) -> int:
        """Until every bucket holds again what was taken; all of it where it was found empty."""
        taken = {rate: rate.burst if rate in self._empty else made for rate, made in self._made.items()}
        return max((math.ceil(made / rate.per_second) for rate, made in taken.items()), default=1)
