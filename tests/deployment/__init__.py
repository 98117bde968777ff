"""A stand-in Convex deployment: a real HTTP server on loopback that keeps every revision and fails on demand.

It follows the protocol of the platform closely enough that the platform's own clients talk to it, and is written apart
from the tool: nothing of the tool but the form of ids and the writer of export ZIPs is used here.
"""

from tests.deployment.clock import Clock
from tests.deployment.deployment import UNSET, Change, Deployment, Noted
from tests.deployment.errors import FunctionError
from tests.deployment.executions import Execution
from tests.deployment.faults import OTHER_503, RETRIABLE_503, TOO_MANY, Fault, Gate
from tests.deployment.keys import ALL_OPS, READ_ONLY_OPS
from tests.deployment.settings import Settings
from tests.deployment.transaction import Limits

__all__ = [
    "ALL_OPS",
    "OTHER_503",
    "READ_ONLY_OPS",
    "RETRIABLE_503",
    "TOO_MANY",
    "UNSET",
    "Change",
    "Clock",
    "Deployment",
    "Execution",
    "Fault",
    "FunctionError",
    "Gate",
    "Limits",
    "Noted",
    "Settings",
]
