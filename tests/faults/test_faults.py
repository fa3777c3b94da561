"""The short campaigns of CI; `tests/faults/run` has the long ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fuzzing
from crashing import SCENARIOS, Scenario, campaign
from emulators import servers
from places import EMULATORS

KILLS = int(os.environ.get("TAXI_INGEST_TEST_KILLS", "2"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_runs_killed_at_random_moments_come_to_what_an_undisturbed_one_does(scenario: Scenario, tmp_path: Path) -> None:
    if "GCS" in scenario.name and not servers.installed(EMULATORS):
        pytest.skip("the emulators are not installed: tests/emulators/install.sh .cache/emulators")
    (totals,) = campaign(tmp_path, KILLS, 23, [scenario]).values()
    assert totals.kills == KILLS
    assert totals.differences == []


def test_bad_inputs_get_the_right_answer_or_a_sentence(tmp_path: Path) -> None:
    totals = fuzzing.campaign(tmp_path, 4_000, 23)
    assert [line for one in totals.values() for line in one.failures] == []
    assert all(one.inputs for one in totals.values())
