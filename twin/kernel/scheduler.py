"""One scheduler: processes (greenlets) that run one at a time, and timers on the simulated clock.

A process runs until it waits. When every process waits, the clock jumps to the next timer. Ties are broken by order of
creation, so a run is a function of its inputs alone. Greenlets rather than threads: the interpreter of Step Functions
and the functions' code block in the middle of ordinary calls, and a switch must not depend on the operating system.

Timers are *foreground* or *background*. A run ends when neither a runnable process nor a foreground timer is left:
background timers (schedules, traffic, agents that flap, placement retries) do not keep a world busy.
"""

from __future__ import annotations

import contextvars
import heapq
from collections import deque
from collections.abc import Callable

from greenlet import getcurrent, greenlet

from twin.kernel.clock import Clock


class Timer:
    """A call at a simulated moment; `cancel()` makes it a no-op."""

    __slots__ = ("background", "cancelled", "fn", "name", "owner", "when")

    def __init__(self, owner: Scheduler, when: float, fn: Callable[[], object], name: str, background: bool) -> None:
        self.owner = owner
        self.when = when
        self.fn = fn
        self.name = name
        self.background = background
        self.cancelled = False

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            if not self.background:
                self.owner._foreground -= 1


class Process:
    """A greenlet of the world. `on_resume`/`on_suspend` swap what belongs to it (environment, modules) in and out."""

    def __init__(self, scheduler: Scheduler, fn: Callable[[], object], name: str) -> None:
        self.name = name
        self.done = False
        self.result: object = None
        self.on_resume: Callable[[], None] | None = None
        self.on_suspend: Callable[[], None] | None = None
        self._scheduler = scheduler
        self._finished = scheduler.event()
        self._fn = fn
        self.green = greenlet(self._run, parent=scheduler.main)
        self.green.gr_context = contextvars.copy_context()

    def _run(self) -> None:
        try:
            self.result = self._fn()
        finally:
            self.done = True
            self._finished.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait, in simulated time, until the process has ended; False on time-out."""
        return self._finished.wait(timeout)


class Event:
    """As `threading.Event`, in simulated time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._set = False
        self._waiters: list[Process] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        waiters, self._waiters = self._waiters, []
        for process in waiters:
            self._scheduler.make_ready(process)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        process = self._scheduler.current
        if process is None:
            raise RuntimeError("only a process can wait; the run loop called Event.wait")
        self._waiters.append(process)
        timer: Timer | None = None
        if timeout is not None:
            timer = self._scheduler.call_later(timeout, lambda: self._expire(process), name=f"wait:{process.name}")
        try:
            self._scheduler.suspend()
        finally:  # also when the process is ended from outside: nothing of its wait may stay behind
            if timer is not None:
                timer.cancel()
            if process in self._waiters:
                self._waiters.remove(process)
        return self._set

    def _expire(self, process: Process) -> None:
        if process in self._waiters:
            self._waiters.remove(process)
            self._scheduler.make_ready(process)


class Scheduler:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.main: greenlet = getcurrent()
        self.current: Process | None = None
        self._ready: deque[Process] = deque()
        self._queued: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._foreground = 0
        self._stopping = False

    # --- making work -------------------------------------------------------------------------------------------------
    def spawn(self, fn: Callable[[], object], *, name: str) -> Process:
        """Start a process; it first runs when the present one waits."""
        process = Process(self, fn, name)
        self.make_ready(process)
        return process

    def call_at(self, when: float, fn: Callable[[], object], *, name: str, background: bool = False) -> Timer:
        """Run `fn` in a process of its own, `when` simulated seconds after the start (never in the past)."""
        self._sequence += 1
        timer = Timer(self, max(when, self.clock.elapsed), fn, name, background)
        heapq.heappush(self._timers, (timer.when, self._sequence, timer))
        if not background:
            self._foreground += 1
        return timer

    def call_later(self, delay: float, fn: Callable[[], object], *, name: str, background: bool = False) -> Timer:
        return self.call_at(self.clock.elapsed + max(0.0, delay), fn, name=name, background=background)

    def event(self) -> Event:
        return Event(self)

    # --- waiting, from within a process ------------------------------------------------------------------------------
    def sleep(self, seconds: float) -> None:
        """Suspend the present process for simulated seconds."""
        process = self.current
        if process is None:
            raise RuntimeError("only a process can sleep; the run loop called sleep")
        timer = self.call_later(seconds, lambda: self.make_ready(process), name=f"sleep:{process.name}")
        try:
            self.suspend()
        finally:
            timer.cancel()

    def suspend(self) -> None:
        """Give up the processor until `make_ready`."""
        process = self.current
        if process is None:
            raise RuntimeError("suspend outside of a process")
        if process.on_suspend:
            process.on_suspend()
        self.main.switch()
        if process.on_resume:
            process.on_resume()

    def make_ready(self, process: Process) -> None:
        if process.done or id(process) in self._queued:
            return
        self._queued.add(id(process))
        self._ready.append(process)

    # --- running -----------------------------------------------------------------------------------------------------
    @property
    def busy(self) -> bool:
        """Whether anything but background work is left."""
        return bool(self._ready) or self._foreground > 0

    def stop(self) -> None:
        """End the present `run` after the present process waits."""
        self._stopping = True

    def run(
        self,
        until: float | None = None,
        *,
        tick: Callable[[], object] | None = None,
        busy: Callable[[], bool] | None = None,
    ) -> bool:
        """Run until nothing but background work is left, or to `until` (elapsed seconds).

        `tick` is called before each jump of the clock (progress displays). `busy` may add to what counts as open work.
        Returns True when the world became quiet, False when `until` or `stop()` came first. An exception in a process
        ends the run and is raised here.
        """
        if self.current is not None:
            raise RuntimeError("run() within a process")
        self._stopping = False
        while True:
            self._run_ready()
            if self._stopping:
                return False
            if not self.busy and not (busy and busy()):
                return True
            while self._timers and self._timers[0][2].cancelled:
                heapq.heappop(self._timers)
            if not self._timers:
                return True
            when = self._timers[0][0]
            if until is not None and when > until:
                self.clock.advance_to(max(self.clock.elapsed, until))
                return False
            if tick and when > self.clock.elapsed:
                tick()
            timer = heapq.heappop(self._timers)[2]
            self.clock.advance_to(when)
            if not timer.background:
                self._foreground -= 1
            timer.cancelled = True  # spent: a later cancel() must not count it twice
            self.spawn(timer.fn, name=timer.name)

    def _run_ready(self) -> None:
        while self._ready and not self._stopping:
            process = self._ready.popleft()
            self._queued.discard(id(process))
            self._switch(process)

    def _switch(self, process: Process) -> None:
        self.current = process
        try:
            process.green.switch()
        finally:
            self.current = None
