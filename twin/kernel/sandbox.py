"""One execution environment of a Lambda function, inside of this process: its own modules, environment and streams.

Lambda gives each environment a process. Here the function's own packages (everything under the code root), and the
modules of Powertools that keep state, are imported anew for each environment, from code objects that are read once;
everything else (boto3, pydantic, the standard library) is shared. While the function has the processor, `os.environ`,
`sys.modules`, the standard streams, the tree of loggers and boto3's default session are its own.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import boto3

from twin.kernel import virtual
from twin.kernel.kernel import Kernel

_SHARED_POWERTOOLS = tuple(
    f"aws_lambda_powertools.{name}"
    for name in (
        "shared",
        "package_logger",
        "warnings",
        "event_handler",
        "utilities.typing",
        "utilities.data_classes",
        "utilities.parser",
        "utilities.validation",
        "utilities.batch",
    )
)
"""Modules of Powertools that hold no state of a function and take long to import."""

_POWERTOOLS = "aws_lambda_powertools"


class Output:
    """A text stream that hands on whole lines."""

    encoding = "utf-8"

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        return len(text)

    def flush(self) -> None:
        """Lines go out as they end; the rest waits for its end."""

    def finish(self) -> None:
        if self._rest:
            self.write("\n")

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class _Source(importlib.abc.Loader):
    """Runs a module's code, compiled once for all environments and worlds of the process."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code = _code(module.__name__, self._path, os.stat(self._path).st_mtime_ns)
        if code is None:
            raise ImportError(f"no code in {self._path}")
        exec(code, module.__dict__)
        virtual.stand_in(module)

    def get_source(self, _name: str) -> str:
        return Path(self._path).read_text(encoding="utf-8")


@lru_cache(maxsize=4096)
def _code(name: str, path: str, _changed: int) -> CodeType | None:
    return importlib.machinery.SourceFileLoader(name, path).get_code(name)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that each environment has for itself."""

    def __init__(self, code_root: Path) -> None:
        self._root = code_root
        self._tops = {path.stem for path in code_root.iterdir() if path.suffix == ".py" or path.is_dir()}
        self._powertools = _folder_of(_POWERTOOLS)
        self.names: set[str] = set()
        """Every module of this kind that was seen in the process, so that a switch need not search all modules."""

    def look_around(self) -> None:
        """Learn of modules that were imported outside of all environments, e.g. by tests of the functions."""
        self.names.update(name for name in sys.modules if name not in self.names and self.owns(name))

    def owns(self, name: str) -> bool:
        top = name.partition(".")[0]
        if top == _POWERTOOLS:
            return not name.startswith(_SHARED_POWERTOOLS)
        return top in self._tops

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not self.owns(fullname):
            return None
        self.names.add(fullname)
        base = self._powertools if fullname.partition(".")[0] == _POWERTOOLS else self._root
        if base is None:
            return None
        return _spec(fullname, str(base.joinpath(*fullname.split("."))))


def _folder_of(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent.parent if found and found.origin else None


def _spec(name: str, location: str) -> importlib.machinery.ModuleSpec | None:
    init = f"{location}/__init__.py"
    if os.path.isfile(init):
        return importlib.util.spec_from_file_location(
            name, init, loader=_Source(init), submodule_search_locations=[location]
        )
    if os.path.isfile(f"{location}.py"):
        return importlib.util.spec_from_file_location(name, f"{location}.py", loader=_Source(f"{location}.py"))
    if os.path.isdir(location):  # a namespace package
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [location]
        return spec
    return None


class Environment(dict[str, str]):
    """In place of `os.environ`: nothing of it reaches this machine's own environment."""

    def copy(self) -> dict[str, str]:
        return dict(self)


class _Manager(logging.Manager):
    def __init__(self, root: logging.RootLogger) -> None:
        super().__init__(root)
        self.loggerClass = None


class Sandbox(virtual.Surroundings):
    """The surroundings of a function's code.

    Args:
        stream: names the environment; its random numbers derive from it.
        environment: the variables that Lambda and the template set.
        line: called with each line that the function prints.
    """

    def __init__(
        self, kernel: Kernel, stream: str, finder: Finder, environment: Mapping[str, str], line: Callable[[str], None]
    ) -> None:
        super().__init__(kernel, stream)
        self._finder = finder
        self._output = Output(line)
        self._modules: dict[str, ModuleType] = {}
        root = logging.RootLogger(logging.WARNING)
        root.addHandler(self._handler())
        self._own: list[tuple[Any, str, Any]] = [
            (os, "environ", Environment(environment)),
            (sys, "stdout", self._output),
            (sys, "stderr", self._output),
            (logging, "root", root),
            (logging.Logger, "root", root),
            (logging.Logger, "manager", _Manager(root)),
            (boto3, "DEFAULT_SESSION", None),
        ]
        self._outer: list[tuple[Any, str, Any]] = []
        self._hidden: dict[str, ModuleType] = {}
        virtual.stand_in(logging)

    def _handler(self) -> logging.Handler:
        """As Lambda's runtime: lines with level, time and request id on standard output."""
        handler = logging.StreamHandler(self._output)
        handler.setFormatter(logging.Formatter("[%(levelname)s]\t%(message)s"))
        return handler

    def begin(self) -> None:
        """Prepare for an invocation. To be called outside."""
        self._finder.look_around()

    def load(self, handler: str) -> Callable[[Any, Any], Any]:
        """The handler function of `package.module.function`; imports what it needs. To be called within."""
        module, _, name = handler.rpartition(".")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Hand on what was printed without a line end."""
        self._output.finish()

    def enter(self) -> None:
        self._outer = [(owner, name, getattr(owner, name)) for owner, name, _value in self._own]
        _set(self._own)
        self._hidden = self._taken_out()
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)

    def leave(self) -> None:
        sys.meta_path.remove(self._finder)
        self._modules = self._taken_out()
        sys.modules.update(self._hidden)
        self._own = [(owner, name, getattr(owner, name)) for owner, name, _value in self._own]
        _set(self._outer)

    def _taken_out(self) -> dict[str, ModuleType]:
        loaded = sys.modules
        return {name: loaded.pop(name) for name in self._finder.names if name in loaded}


def _set(values: list[tuple[Any, str, Any]]) -> None:
    for owner, name, value in values:
        setattr(owner, name, value)
