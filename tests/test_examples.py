"""The examples agree with the program: the roles they grant, the settings they set."""

from __future__ import annotations

import re
import subprocess

import pytest
from conftest import REPOSITORY

from taxi_ingest import settings
from taxi_ingest.google_roles import grants

EXAMPLES = REPOSITORY / "examples"
NEEDED = (
    "storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete",
    "storage.buckets.get", "bigquery.jobs.create", "bigquery.tables.create", "bigquery.datasets.get",
)  # fmt: skip
"""Every permission that a run asks for when bucket and dataset are there."""


def test_terraform_grants_the_service_account_the_roles_that_a_run_needs_and_no_other() -> None:
    main = (EXAMPLES / "terraform" / "main.tf").read_text()
    blocks = re.findall(r'resource "\w+_iam_member" "\w+" \{(.*?)\n\}', main, re.DOTALL)
    granted = {re.search(r'role\s+= "([^"]+)"', block)[1] for block in blocks if "local.ingest" in block}  # type: ignore[index]
    sentence = grants(NEEDED, {"bucket": "b", "dataset": "d", "project": "p"})
    assert granted == set(re.findall(r"roles/[\w.]+", sentence))


def test_the_workflow_sets_settings_that_there_are() -> None:
    workflow = (EXAMPLES / "github-actions" / "taxi-ingest.yml").read_text()
    known = {settings.environment_name(name) for name, _, _ in settings.Settings().items()}
    named = set(re.findall(r"TAXI_INGEST_\w+", workflow))
    assert named
    assert named <= known


APIS = {
    "google_bigquery": "bigquery", "google_iam_workload": "sts", "google_project_iam": "cloudresourcemanager",
    "google_service_account": "iam", "google_storage": "storage",
}  # fmt: skip
"""How a kind of resource begins, and the API that makes it, or that it is of use to."""


def test_terraform_turns_on_the_api_of_each_resource_before_it_makes_it() -> None:
    text = "".join(path.read_text() for path in sorted((EXAMPLES / "terraform").glob("*.tf")))
    blocks = dict(re.findall(r'^resource "(\w+" "\w+)" \{(.*?)\n\}', text, re.DOTALL | re.MULTILINE))
    resources = {name.replace('" "', "."): block for name, block in blocks.items()}
    turned_on = set(re.findall(r'"(\w+)\.googleapis\.com"', resources["google_project_service.needed"]))
    assert set(APIS.values()) <= turned_on

    def waits(name: str) -> bool:
        block = resources[name].replace("local.ingest", "google_service_account.ingest.email")
        others = {f"{kind}.{label}" for kind, label in re.findall(r"(google_\w+)\.(\w+)", block)} & resources.keys()
        return name == "google_project_service.needed" or any(waits(other) for other in others - {name})

    assert len(resources) > 10
    assert [name for name in resources if not waits(name)] == []


@pytest.mark.parametrize(
    ("store", "warehouse", "code"),
    [("gs://b/trips", "bigquery://p/taxi", 0), ("", "bigquery://p/taxi", 1), ("gs://b/trips", "", 1)],
)
def test_the_workflow_does_not_fall_back_to_the_disk_of_its_runner(store: str, warehouse: str, code: int) -> None:
    workflow = (EXAMPLES / "github-actions" / "taxi-ingest.yml").read_text()
    first = re.search(r"run: \|\n((?: {10}.*\n)+)", workflow)
    assert first
    places = {"TAXI_INGEST_GLOBAL__STORE": store, "TAXI_INGEST_GLOBAL__WAREHOUSE": warehouse}
    ran = subprocess.run(["bash", "-ec", first[1]], env=places, capture_output=True, text=True, check=False)
    assert (min(ran.returncode, 1), "set the variable" in ran.stderr) == (code, bool(code))
