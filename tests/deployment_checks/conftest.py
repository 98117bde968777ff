"""A deployment of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployment import Deployment
from tests.deployment_checks.client import Client


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with Deployment(long_poll_s=0.0, permit_wait_s=0.0) as running:
        yield running


@pytest.fixture
def client(deployment: Deployment) -> Iterator[Client]:
    with Client(deployment) as ready:
        yield ready
