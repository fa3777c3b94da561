"""The examples agree with the program: the roles they grant, the settings they set."""

from __future__ import annotations

import re

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
