"""Which type a deployment is taken for: the most dangerous of what server, key and environment say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.model import DeploymentType

# Most dangerous first. Unknown stands second: it is treated as production, but a source that says "prod" knows more.
BY_DANGER = (
    DeploymentType.PROD,
    DeploymentType.UNKNOWN,
    DeploymentType.CUSTOM,
    DeploymentType.SELF_HOSTED,
    DeploymentType.LOCAL,
    DeploymentType.PREVIEW,
    DeploymentType.DEV,
)
HARMLESS = (DeploymentType.DEV, DeploymentType.PREVIEW)


@dataclass(frozen=True, slots=True)
class TypeHint:
    """What one witness says."""

    witness: str  # "the server", "the key in CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT in .env.local"
    type: DeploymentType


def combined(server: DeploymentType | None, hints: Sequence[TypeHint]) -> tuple[DeploymentType, str]:
    """Return the type to go by, and a sentence why.

    server  what the deployment itself says; None when it does not say
    hints   what key and environment claim, which anyone can edit: they make it more dangerous, never less
    """
    said = [TypeHint("the server", server)] if server is not None else []
    witnesses = [*said, *hints]
    worst = min((hint.type for hint in witnesses), key=BY_DANGER.index, default=DeploymentType.UNKNOWN)
    if server is None and worst != DeploymentType.PROD:
        claims = "".join(f"; {hint.witness} says {hint.type}, which is no proof" for hint in hints)
        return DeploymentType.UNKNOWN, f"the server does not say which type it is{claims}"
    same = [hint.witness for hint in witnesses if hint.type == worst]
    others = [f"{hint.witness} says {hint.type}" for hint in witnesses if hint.type != worst]
    reason = f"{' and '.join(same)} {'say' if len(same) > 1 else 'says'} {worst}"
    return worst, reason + (f"; {', '.join(others)}, and the most dangerous counts" if others else "")


def counts_as_production(type_: DeploymentType) -> bool:
    """Tell whether a deployment of this combined type is treated as production: all but dev and preview are."""
    return type_ not in HARMLESS
