"""A short form of `make torture`: one run of each campaign, and every condition."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.torture.__main__ import planned
from tests.torture.campaigns import CAMPAIGNS


@pytest.mark.external
@pytest.mark.timeout(900)
def test_one_run_of_each_campaign_and_every_condition_holds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--runs", "1", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"\n{kind} " in done.stdout for kind in CAMPAIGNS)


def test_the_full_form_has_as_many_runs_as_were_asked_for_and_something_of_everything() -> None:
    names = planned(500)
    assert len(names) >= 500 and len(set(names)) == len(names)
    assert {name.partition(":")[0] for name in names} == CAMPAIGNS.keys()
