"""One run, and everything that can go wrong in it: at each moment of interest the process forks.

The parent runs plainly. Whenever somebody wants to see what happens if, say, a function dies at the call that it is
about to make, a child process is forked there and then: in the child the disaster takes place and the run goes on to
its end, in the parent nothing happened. So each try costs no more than the rest of the run.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

JOBS = 2
ONE_IN = 1
"""Of the moments at which a run could fork, one in so many is tried (`pytest --one-in`, for tests marked `moments`)."""

End = TypeVar("End")


class Forks(Generic[End]):
    """A run that forks.

    Args:
        broken: what to say of a run that came to no end, from its label and why.

    Attributes:
        child: whether this process is a fork.
        label: what goes wrong in this process; "" for the plain run.
    """

    def __init__(self, broken: Callable[[str, str], End]) -> None:
        self.child = False
        self.label = ""
        self._broken = broken
        self._asked = 0
        self._children: dict[int, tuple[str, Path]] = {}
        self._results: list[End] = []

    def explore(self, run: Callable[[], End]) -> tuple[End, list[End]]:
        """The plain run's end, and those of all forks in the order in which they came."""
        with tempfile.TemporaryDirectory() as folder:
            self._folder = folder
            try:
                plain = run()
            except BaseException:
                if self.child:
                    self._leave(self._broken(self.label, traceback.format_exc()))
                raise
            if self.child:
                self._leave(plain)
            while self._children:
                self._reap()
        return plain, self._results

    def fork(self, label: str) -> bool:
        """True in a new process in which `label` shall go wrong, False in this one. Only the plain run forks."""
        if self.child:
            return False
        self._asked += 1
        if (self._asked - 1) % ONE_IN:
            return False
        while len(self._children) >= JOBS:
            self._reap()
        path = Path(self._folder) / f"{len(self._results) + len(self._children)}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: of processes with threads; ours only run on
            child = os.fork()
        if child:
            self._children[child] = (label, path)
            return False
        self.child, self.label, self._out = True, label, path
        return True

    def _leave(self, end: End) -> NoReturn:
        try:
            self._out.write_bytes(pickle.dumps(end))
        finally:
            os._exit(0)

    def _reap(self) -> None:
        child, _ = os.wait()
        label, path = self._children.pop(child)
        if path.exists():
            self._results.append(pickle.loads(path.read_bytes()))
            path.unlink()
        else:
            self._results.append(self._broken(label, "the process ended without a result"))
