"""Dataclasses out of parsed JSON, field by field of the type that is annotated: what a file claims is not believed."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def built(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return an instance of a dataclass whose fields all have their types.

    raises  TypeError naming the field that is missing, unknown or of another type
    """
    made = kind(**data)
    for name, annotation in _fields(kind).items():  # type: ignore[arg-type]  # classes can be hashed
        if not _fits(getattr(made, name), annotation):
            raise TypeError(f"{kind.__name__}.{name} is of another type")
    return made


@cache
def _fields(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, annotation: Any) -> bool:
    if annotation is Any or (annotation in (str, int, bool) and type(value) is annotation):  # nearly all of a plan
        return True
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items())
    if annotation is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is annotation
