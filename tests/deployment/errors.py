"""The two ways in which a deployment says no."""

from __future__ import annotations

from typing import Any

NO_DATA: Any = object()  # a function error without `errorData`; None would be the value null


class HttpError(Exception):
    """A refusal around a function: a status, a short code and a sentence."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code  # "" answers with an empty body, as unknown routes do
        self.message = message or code


class FunctionError(Exception):
    """What a function threw: HTTP 200 with status "error"."""

    def __init__(self, message: str, data: Any = NO_DATA) -> None:
        super().__init__(message)
        self.message = message
        self.data = data  # of a ConvexError


def bad_body(message: str) -> HttpError:
    return HttpError(400, "BadJsonBody", message)


def out_of_retention() -> HttpError:
    return HttpError(503, "InternalServerError", "Your request couldn't be completed. Try again later.")
