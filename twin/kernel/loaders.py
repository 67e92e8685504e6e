"""What fresh execution environments would do again and again, done once per process.

Each environment of a function imports its code anew and makes its own boto3 session, as on Lambda. Three parts of that
take most of the time and always come out the same: reading AWS's API models, registering botocore's built-in handlers,
and compiling the methods that `dataclass` writes. They are kept and shared; what they return is not changed.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import botocore.session
from botocore.hooks import HierarchicalEmitter
from botocore.loaders import Loader, create_loader

_builtin_exec = exec


class _Paths(list[str]):
    """boto3 adds its own folder again with each of its sessions."""

    def append(self, path: str) -> None:
        if path not in self:
            super().append(path)


def shared_loader(search_path_string: str | None = None) -> Loader:
    """The loader of botocore's models; `search_path_string` as botocore's `data_path` setting has it."""
    return _loader(search_path_string)


@lru_cache(maxsize=8)
def _loader(search_path: str | None) -> Loader:
    loader = create_loader(search_path)
    vars(loader)["_search_paths"] = _Paths(loader.search_paths)
    return loader


@lru_cache(maxsize=1)
def _emitter_with_handlers() -> HierarchicalEmitter:
    emitter = HierarchicalEmitter()
    botocore.session.Session(event_hooks=emitter)  # registers them
    return emitter


def _get_session(env_vars: Any = None) -> botocore.session.Session:
    """As `botocore.session.get_session`, but that the built-in handlers are copied, not registered one by one."""
    emitter = copy.copy(_emitter_with_handlers())
    return botocore.session.Session(env_vars, event_hooks=emitter, include_builtin_handlers=False)


@lru_cache(maxsize=16_384)
def _compiled(text: str) -> CodeType:
    return compile(text, "<string>", "exec")


def _exec(text: str | CodeType, names: dict[str, Any] | None = None, local: Mapping[str, Any] | None = None) -> None:
    _builtin_exec(_compiled(text) if isinstance(text, str) else text, names, local)


def share() -> None:
    """Let every session of botocore and every dataclass that is made from now on use what is shared."""
    botocore.session.create_loader = shared_loader
    botocore.session.get_session = _get_session
    dataclasses.exec = _exec  # type: ignore[attr-defined]
