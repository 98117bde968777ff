"""Functions of a deployment: what they are called, what they take, and what they see when they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.deployment.errors import FunctionError, HttpError
from tests.deployment.keys import Identity
from tests.deployment.tables import Component
from tests.deployment.transaction import Transaction

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

Kind = Literal["Query", "Mutation", "Action"]
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (float,),
    "boolean": (bool,),
    "int64": (int,),
    "array": (list,),
    "object": (dict,),
}


@dataclass
class Call:
    """One running function."""

    backend: Backend
    tx: Transaction
    identity: Identity
    component: Component
    now_ms: float  # of the whole call, in whole milliseconds, as Date.now() is
    user_agent: str = ""
    log_lines: list[tuple[str, str]] = field(default_factory=list)  # (level, text)

    def log(self, text: str, level: str = "LOG") -> None:
        self.log_lines.append((level, text))

    def env(self, name: str) -> str | None:
        """Return the value of an environment variable."""
        return self.backend.environment.value(name, self.tx)


Handler = Callable[[Call, dict[str, Any]], Any]


@dataclass(frozen=True)
class Function:
    """`args` maps a name to its type: "string", "number?" (may be missing), "string|null", "any". None: anything."""

    path: str  # "messages:list", without .js
    kind: Kind
    handler: Handler
    args: Mapping[str, str] | None = None
    is_internal: bool = False
    op: str = ""  # that a key needs; of `_system/` functions only
    reads_clock: bool = True  # what reads the clock is never cached for long, but cached it is


@dataclass
class Registry:
    """All functions by path."""

    by_path: dict[str, Function] = field(default_factory=dict)

    def add(self, function: Function) -> None:
        self.by_path[function.path] = function

    def remove(self, path: str) -> None:
        del self.by_path[path]

    def query(self, path: str, args: Mapping[str, str] | None = None, **more: Any) -> Callable[[Handler], Handler]:
        return self._decorator(path, "Query", args, more)

    def mutation(self, path: str, args: Mapping[str, str] | None = None, **more: Any) -> Callable[[Handler], Handler]:
        return self._decorator(path, "Mutation", args, more)

    def action(self, path: str, args: Mapping[str, str] | None = None, **more: Any) -> Callable[[Handler], Handler]:
        return self._decorator(path, "Action", args, more)

    def _decorator(
        self, path: str, kind: Kind, args: Mapping[str, str] | None, more: dict[str, Any]
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.add(Function(path, kind, handler, args, **more))
            return handler

        return register


def canonical(path: object) -> str:
    """Return a path as the registry holds it: "a/b:c", ":default" for a bare module.

    raises  HttpError when it cannot be a path
    """
    if not isinstance(path, str) or not path:
        raise HttpError(400, "BadConvexFunctionIdentifier", f"{path!r} is not a path to a function.")
    module, colon, name = path.rpartition(":") if ":" in path else (path, ":", "default")
    module = module.removesuffix(".js")
    parts = module.split("/")
    is_bad = module.startswith("/") or any(part in ("", ".", "..") or "." in part for part in parts)
    if is_bad or not re.fullmatch(r"[\w$]+", name):
        raise HttpError(400, "BadConvexFunctionIdentifier", f"{path!r} is not a path to a function.")
    return f"{module}{colon}{name}"


def shown(path: str) -> str:
    """Return a path as messages and logs show it, without ":default"."""
    return path.removesuffix(":default")


def metrics_key(path: str) -> str:
    """Return a path as metrics know it: "messages.js:list"."""
    module, _, name = path.rpartition(":")
    return f"{module}.js:{name}"


def check_args(args: dict[str, Any], expected: Mapping[str, str] | None) -> None:
    """Refuse arguments that do not fit, as a validator does.

    raises  FunctionError
    """
    if expected is None:
        return
    for name in args:
        if name not in expected:
            raise FunctionError(
                f"ArgumentValidationError: Object contains extra field `{name}` that is not in the validator."
            )
    for name, kind in expected.items():
        optional, options = kind.endswith("?"), kind.removesuffix("?").split("|")
        if name not in args:
            if not optional:
                raise FunctionError(f"ArgumentValidationError: Object is missing the required field `{name}`.")
        elif not any(_fits(args[name], option) for option in options):
            raise FunctionError(
                f"ArgumentValidationError: Value does not match validator.\nPath: .{name}\nValidator: {kind}"
            )


def _fits(value: Any, kind: str) -> bool:
    if kind == "any":
        return True
    if kind == "null":
        return value is None
    return type(value) in _TYPES[kind]
