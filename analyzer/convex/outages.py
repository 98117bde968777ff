"""What it means when no whole answer comes back, each in a sentence of its own."""

from __future__ import annotations

from enum import Enum

from analyzer.convex.refusals import Asked, Failure
from analyzer.convex.retry import Repeat
from analyzer.convex.traffic import MIB
from analyzer.errors import OutcomeUnknown, SourceError, SourceInvalid, SourceUnreachable


class Outage(Enum):
    """A fact with {origin}, {what} and {text} (of the library), and a hint."""

    OUT_OF_TIME = ("{origin}: the time limit is used up", "give more time, or run it again: it continues")
    UNREACHABLE = ("{origin} cannot be reached: {text}", "check the URL and the network")
    NOT_TRUSTED = (
        "the certificate of {origin} is not trusted: {text}",
        "check the URL; for a certificate of your own give its CA file",
    )
    NO_PROXY = ("the proxy does not connect to {origin}: {text}", "check the proxy")
    SILENT = ("{origin} does not answer {what} in time", "try again later")
    SLOW = ("{origin} sends its answer to {what} too slowly", "try again later")
    GARBLED = ("{origin} sends a body for {what} that cannot be unpacked", "a proxy may stand in between")
    BROKEN = ("{origin} broke off while answering {what}: {text}", "try again")
    CLOSED = ("the connection to {origin} was closed here", "")
    UNSENDABLE = ("{what} is no request that can be sent to {origin}", "")


def failure(outage: Outage, asked: Asked, repeat: Repeat, text: str = "") -> Failure:
    """Explain an outage. `text` is foreign."""
    fact, hint = outage.value
    said = asked.quote(text) or "no answer"
    return Failure(SourceUnreachable(fact.format(origin=asked.origin, what=asked.what, text=said), hint=hint), repeat)


def too_big(asked: Asked, allowed_bytes: int) -> Failure:
    """Explain a body that is larger than what deployments send."""
    return Failure(
        SourceInvalid(
            f"{asked.origin} answers {asked.what} with more than {allowed_bytes // MIB} MiB",
            hint="what a deployment sends at once is smaller; check the URL",
        ),
        Repeat.NEVER,
    )


def lost(error: SourceError) -> OutcomeUnknown:
    """Explain a change whose answer did not come back."""
    return OutcomeUnknown(
        f"nobody knows whether the change was made: {error}", hint="read back what is there before anything else"
    )
