"""Simulated time, chance and threads for code that was not written for a simulation.

moto's interpreter, Powertools and the functions call `time.sleep`, `datetime.now`, `uuid4` and `threading.Thread` as
any program does. Their modules get stand-ins for those names. A stand-in asks who runs: within a `Job` of a world it
answers from that world's clock, generator and scheduler; outside of any job it is the real thing, so that progress
displays, HTTP servers and other programs in the process are left alone, and several worlds may follow one another.

A `Job` is a process of the scheduler together with what its code sees of the world (its `Surroundings`), and the jobs
that it started. It can be ended from outside: it unwinds at its next wait, and its own jobs with it.
"""

from __future__ import annotations

import contextlib
import datetime as real_datetime_module
import functools
import random as real_random
import threading as real_threading
import time as real_time
import uuid as real_uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime as real_datetime
from types import ModuleType, TracebackType
from typing import Any

from twin.kernel.kernel import Kernel


class Ended(BaseException):
    """Unwinds a job that was ended from outside. A BaseException: no `except Exception` of its code may hold it."""


class Surroundings:
    """What the code of a job sees of the world: its clock and chance, and, in subclasses, its own globals.

    `enter` and `leave` are called whenever the job gets and gives up the processor.
    """

    def __init__(self, kernel: Kernel, stream: str) -> None:
        self.kernel = kernel
        self.rng = kernel.rng(stream)

    def enter(self) -> None:
        """Put in place what is the job's own."""

    def leave(self) -> None:
        """Put back what was there before `enter`."""


_present: Job | None = None
_open: dict[Kernel, dict[Job, None]] = {}
"""Jobs that have not finished, by world, in order of their start."""


def present() -> Job | None:
    """The job whose code runs now."""
    return _present


@contextmanager
def outside() -> Iterator[None]:
    """Step out of the present job's surroundings: for the world's own code when a job's code calls into it."""
    job = _present
    if job is None:
        yield
        return
    job.step_out()
    try:
        yield
    finally:
        job.step_in()


class Job:
    """A process that runs `fn` within surroundings.

    Attributes:
        result: what `fn` returned.
        ended: whether `end()` was called before `fn` was finished.
    """

    def __init__(
        self, surroundings: Surroundings, fn: Callable[[], Any], *, name: str, parent: Job | None = None
    ) -> None:
        self.surroundings = surroundings
        self.name = name
        self.result: Any = None
        self.ended = False
        self.guard: Callable[[], None] | None = None
        """Called before each wait; may raise to keep the job from going on."""
        self._fn = fn
        self._inside = False
        self._was_inside = False
        self._children: list[Job] = []
        self._scheduler = surroundings.kernel.scheduler
        self.process = self._scheduler.spawn(self._run, name=name)
        self.process.on_resume = self._resume
        self.process.on_suspend = self._suspend
        _open.setdefault(surroundings.kernel, {})[self] = None
        if parent is not None:
            parent._children = [child for child in parent._children if not child.done]
            parent._children.append(self)

    @property
    def done(self) -> bool:
        return self.process.done

    def join(self, timeout: float | None = None) -> bool:
        """Wait in simulated time until the job has finished; False on time-out."""
        return self.process.join(timeout)

    def end(self) -> None:
        """End the job and all that it started. It unwinds when it next waits; what it calls meanwhile still counts."""
        for child in self._children:
            child.end()
        if not self.done and not self.ended:
            self.ended = True
            self._scheduler.make_ready(self.process)

    def unwind(self) -> None:
        """End the job here and now, from outside of the run loop: nothing else of the world happens meanwhile."""
        self.ended = True
        if not self.process.green:  # not yet started, or finished
            return
        self._scheduler.current = self.process
        if self._was_inside:
            self.step_in()
        try:
            self.process.green.throw(Ended(self.name))
        finally:
            self._scheduler.current = None

    def _run(self) -> None:
        try:
            self._run_within()
        finally:
            _open.get(self.surroundings.kernel, {}).pop(self, None)

    def _run_within(self) -> None:
        if self.ended:
            return
        self.step_in()
        try:
            self.result = self._fn()
        except Ended:
            self.ended = True
        finally:
            self.step_out()
            for child in self._children:
                child.end()

    def step_in(self) -> None:
        global _present  # noqa: PLW0603 - one processor, one present job
        self._inside = True
        _present = self
        self.surroundings.enter()

    def step_out(self) -> None:
        global _present  # noqa: PLW0603 - as above
        if self._inside:
            self._inside = False
            self.surroundings.leave()
            _present = None

    def _suspend(self) -> None:
        self._check()
        self._was_inside = self._inside
        self.step_out()

    def _resume(self) -> None:
        if self._was_inside:
            self.step_in()
        self._check()

    def _check(self) -> None:
        if self.ended:
            raise Ended(self.name)
        if self.guard is not None:
            self.guard()


def unwind_all(kernel: Kernel) -> None:
    """End all jobs of a world that is left for good.

    What is still suspended would otherwise unwind when its memory is freed: at any time, in the real world.
    """
    for job in list(_open.get(kernel, {})):
        job.unwind()
    _open.pop(kernel, None)


# --- stand-ins for threading ------------------------------------------------------------------------------------------
class Thread:
    """As `threading.Thread`; within a job, a job that the present one started."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if _present is None:
            return real_threading.Thread(*args, **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self.name = name or "thread"
        self.daemon = daemon
        self.native_id = 0
        self._target = functools.partial(target or (lambda: None), *args, **(kwargs or {}))
        self._job: Job | None = None

    def start(self) -> None:
        parent = _present
        if parent is None or self._job is not None:
            raise RuntimeError(f"thread {self.name}: started twice or outside of a job")
        self._job = Job(parent.surroundings, self._target, name=self.name, parent=parent)

    def join(self, timeout: float | None = None) -> None:
        if self._job is None:
            raise RuntimeError("cannot join thread before it is started")
        self._job.join(timeout)

    def is_alive(self) -> bool:
        return self._job is not None and not self._job.done


class NoLock:
    """A lock among jobs, which never run at the same time: nothing to do, as long as nobody waits while holding it."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass


def _event() -> Any:
    return real_threading.Event() if _present is None else _present.surroundings.kernel.scheduler.event()


def _lock() -> Any:
    return real_threading.Lock() if _present is None else NoLock()


def _rlock() -> Any:
    return real_threading.RLock() if _present is None else NoLock()


# --- stand-ins for time and datetime ----------------------------------------------------------------------------------
_FIXED = 1_000_000_000


def _epoch() -> float:
    return real_time.__dict__["time"]() if _present is None else _present.surroundings.kernel.clock.time()


def _sleep(seconds: float) -> None:
    if _present is None:
        real_time.__dict__["sleep"](seconds)
    elif seconds > 0:
        _present.surroundings.kernel.scheduler.sleep(seconds)


def _counter(name: str) -> Callable[[], float]:
    real = real_time.__dict__[name]

    def count() -> Any:
        return real() if _present is None else _present.surroundings.kernel.clock.elapsed

    return count


def _counter_ns(name: str) -> Callable[[], int]:
    real = real_time.__dict__[name]

    def count() -> Any:
        return real() if _present is None else round(_present.surroundings.kernel.clock.elapsed * _FIXED)

    return count


def _epoch_ns() -> int:
    return real_time.__dict__["time_ns"]() if _present is None else round(_epoch() * _FIXED)


def _gmtime(seconds: float | None = None) -> real_time.struct_time:
    return real_time.gmtime(_epoch() if seconds is None else seconds)


def _localtime(seconds: float | None = None) -> real_time.struct_time:
    """Lambda's local time is UTC, whatever this machine's is."""
    if _present is None:
        return real_time.localtime(seconds)
    return _gmtime(seconds)


def _strftime(pattern: str, moment: Any = None) -> str:
    return real_time.strftime(pattern, _localtime() if moment is None else moment)


class UtcDatetime(real_datetime):
    """A naive datetime of a place whose local time is UTC (Lambda's), whatever this machine's is."""

    def timestamp(self) -> float:
        return self.replace(tzinfo=self.tzinfo or real_datetime_module.UTC)._plain().timestamp()

    def astimezone(self, tz: real_datetime_module.tzinfo | None = None) -> Any:
        aware = self.replace(tzinfo=self.tzinfo or real_datetime_module.UTC)._plain()
        return aware.astimezone(tz or real_datetime_module.UTC)

    def _plain(self) -> real_datetime:
        return real_datetime.combine(self.date(), self.timetz())


class _DatetimeType(type(real_datetime)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real_datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, real_datetime)


class Datetime(real_datetime, metaclass=_DatetimeType):
    """As `datetime.datetime`, but for the present time. Its instances are plain datetimes."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return real_datetime(*args, **kwargs)  # noqa: DTZ001 - as the caller wants it

    @classmethod
    def now(cls, tz: real_datetime_module.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_epoch(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(_epoch(), real_datetime_module.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_epoch())

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: real_datetime_module.tzinfo | None = None) -> Any:
        if tz is not None or _present is None:
            return real_datetime.fromtimestamp(timestamp, tz)
        utc = real_datetime.fromtimestamp(timestamp, real_datetime_module.UTC)
        return UtcDatetime.combine(utc.date(), utc.time())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(real_datetime)


# --- stand-ins for chance ---------------------------------------------------------------------------------------------
def new_uuid() -> real_uuid.UUID:
    if _present is None:
        return real_uuid.__dict__["uuid4"]()  # type: ignore[no-any-return]
    return real_uuid.UUID(int=_present.surroundings.rng.getrandbits(128), version=4)


def _chance(name: str) -> Callable[..., Any]:
    real = getattr(real_random, name)

    def draw(*args: Any, **kwargs: Any) -> Any:
        return real(*args, **kwargs) if _present is None else getattr(_present.surroundings.rng, name)(*args, **kwargs)

    return draw


def _module(real: ModuleType, **changes: Any) -> ModuleType:
    stand_in = ModuleType(real.__name__, real.__doc__)
    stand_in.__dict__.update({k: v for k, v in vars(real).items() if not k.startswith("__")})
    stand_in.__dict__.update(changes)
    return stand_in


_TIME: dict[str, Any] = {
    "time": _epoch,
    "time_ns": _epoch_ns,
    "sleep": _sleep,
    "monotonic": _counter("monotonic"),
    "monotonic_ns": _counter_ns("monotonic_ns"),
    "perf_counter": _counter("perf_counter"),
    "perf_counter_ns": _counter_ns("perf_counter_ns"),
    "gmtime": _gmtime,
    "localtime": _localtime,
    "strftime": _strftime,
}
_RANDOM = {
    name: _chance(name)
    for name in ("random", "uniform", "randint", "randrange", "choice", "choices", "shuffle", "sample", "getrandbits")
}
_THREADING: dict[str, Any] = {"Thread": Thread, "Event": _event, "Lock": _lock, "RLock": _rlock}

time = _module(real_time, **_TIME)
datetime = _module(real_datetime_module, datetime=Datetime)
random = _module(real_random, **_RANDOM)
uuid = _module(real_uuid, uuid4=new_uuid)
threading = _module(real_threading, **_THREADING)


def _pairs(real: ModuleType, stand_in: ModuleType, names: Iterable[str]) -> Iterator[tuple[Any, Any]]:
    yield real, stand_in
    for name in names:
        yield getattr(real, name), getattr(stand_in, name)


_CLOCKS = [
    *_pairs(real_time, time, _TIME),
    *_pairs(real_datetime_module, datetime, ("datetime",)),
    *_pairs(real_random, random, _RANDOM),
    *_pairs(real_uuid, uuid, ("uuid4",)),
]
_THREADS = [*_pairs(real_threading, threading, _THREADING)]


def _by_identity(pairs: list[tuple[Any, Any]]) -> dict[int, tuple[Any, Any]]:
    return {id(real): (real, stand_in) for real, stand_in in pairs}


_CLOCK_NAMES = _by_identity(_CLOCKS)
_ALL_NAMES = _by_identity(_CLOCKS + _THREADS)


def stand_in(module: ModuleType, *, threads: bool = False) -> contextlib.ExitStack:
    """Replace, in one module's names, the real modules, classes and functions of time and chance by stand-ins.

    Args:
        threads: also those of `threading`.

    Returns:
        A stack whose `close()` undoes it.
    """
    names = _ALL_NAMES if threads else _CLOCK_NAMES
    undo = contextlib.ExitStack()
    for name, value in list(vars(module).items()):
        found = names.get(id(value))
        if found is not None and found[0] is value:
            undo.callback(setattr, module, name, value)
            setattr(module, name, found[1])
    return undo
