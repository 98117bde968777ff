"""The write barrier of an apply: the app does not run while documents go, and runs again whatever happens.

A paused deployment runs no function of the app, and the platform's own go on: between the last read of a document and
its deletion nothing of the app's can write. Other administrators, imports and integrations are not held back.

That it is our pause is in the ledger before it is asked for, so whoever starts the same apply again after a crash ends
it first. What somebody else paused is never ended by us.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from analyzer import clock
from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.convex.permissions import PAUSE, UNPAUSE, VIEW_DATA
from analyzer.errors import AccessDenied, OutcomeUnknown, ServerRefused, SourceError, SourceUnreachable
from analyzer.purge import audit
from analyzer.purge.ledger import Ledger

STATE = "_system/frontend/deploymentState:deploymentState"
PAUSE_PATH, UNPAUSE_PATH = "/api/v1/pause_deployment", "/api/v1/unpause_deployment"
TRIES = 5  # to let it run again, before a person has to
FIRST_WAIT_S = 1.0  # doubled each time
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
Say = Callable[[str], None]


def state(client: Client) -> str:
    """Return "running", "paused", "disabled" or "suspended".

    raises  SourceInvalid
    """
    answer = functions.query(client, STATE, {}, permission=VIEW_DATA)
    found = answer.get("state") if isinstance(answer, dict) else None
    if not isinstance(found, str):
        raise client.unexpected(f"POST /api/query ({STATE})", "the state of the deployment", VIEW_DATA)
    return found


@contextlib.contextmanager
def paused(client: Client, book: Ledger, say: Say, *, wait_s: float = FIRST_WAIT_S) -> Iterator[None]:
    """Keep the app from running until the block ends, however it ends short of SIGKILL.

    raises  SourceError when it cannot be paused, and then nothing was; SourceUnreachable when it cannot be ended
    """
    with _ending_raises():
        if state(client) == "paused":
            _found_paused(book, say)
            yield
            return
        say(f"pausing {client.origin}: its app answers nobody until this is done")
        say("should this process be killed, start the same command again: it lets the app run first of all")
        try:
            book.pause("us")
            if _begin(client, book):
                book.paused()
            else:
                _found_paused(book, say)
            yield
        finally:
            if book.state.paused_by == "us":
                resume(client, book, say, wait_s=wait_s)


def recover(client: Client, book: Ledger, say: Say, *, wait_s: float = FIRST_WAIT_S) -> None:
    """End the pause of an apply that was killed; does nothing where there is none, or it is not ours.

    raises  SourceUnreachable when it cannot be ended
    """
    if book.state.paused_by != "us":
        return
    if not book.state.is_pause_done and _is_somebody_elses(client, book):
        book.pause("others")  # killed before it was asked for, and somebody else did it since
        return
    say(f"an earlier run paused {client.origin}")
    resume(client, book, say, wait_s=wait_s)


def resume(client: Client, book: Ledger, say: Say, *, wait_s: float = FIRST_WAIT_S) -> None:
    """Let the app run again, and see that it does; nothing short of SIGKILL interrupts this.

    raises  SourceUnreachable when it does not
    """
    why = ""
    with _deaf():
        for number in range(TRIES + 1):  # the last one only looks
            if number > 1:  # the first look after asking comes at once
                clock.sleep_s(wait_s * 2 ** (number - 2))
            try:
                if state(client) != "paused":
                    book.unpause()
                    say(f"{client.origin} runs again")
                    return
                if number < TRIES:
                    client.change(UNPAUSE_PATH, permission=UNPAUSE)
            except SourceError as error:
                why = str(error)
    raise SourceUnreachable(
        f"{client.origin} IS STILL PAUSED: {why or 'it was told to run, and does not'}",
        hint="start the same command again, or unpause it on its dashboard under Settings",
    )


def _begin(client: Client, book: Ledger) -> bool:
    """Pause; returns False when somebody else was faster."""
    try:
        client.change(PAUSE_PATH, permission=PAUSE)
    except AccessDenied:
        book.unpause()
        raise
    except ServerRefused:
        if state(client) == "paused":
            return False
        raise
    except OutcomeUnknown:
        if state(client) != "paused":
            raise
    return True


def _found_paused(book: Ledger, say: Say) -> None:
    book.pause("others")
    say("it is paused already: whoever did that lets it run again, not we")


def _is_somebody_elses(client: Client, book: Ledger) -> bool:
    """Look up who paused last; where nobody tells, it was us."""
    noted = audit.entries(client, book.state.server_ms or 0, ("pause_deployment",))
    return noted is not None and bool(noted) and not audit.is_ours(client, noted[-1])


# ---- signals ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _handled(handler: Any) -> Iterator[None]:
    """Handle what ends a process in another way for a while; a thread beside the main one gets no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _ending_raises() -> contextlib.AbstractContextManager[None]:
    """Let a polite end, as a CI runner or a closed terminal sends it, end the pause too."""
    return _handled(_interrupt)


def _deaf() -> contextlib.AbstractContextManager[None]:
    return _handled(signal.SIG_IGN)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
