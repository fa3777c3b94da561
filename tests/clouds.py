"""A dataset of BigQuery and a bucket, on real servers, and the command line that fills them.

The servers know no partition decorators, so runs use `load.method = "merge"`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import DATA, Command, Ran

if TYPE_CHECKING:  # Google's client takes a while to import, and conftest imports this module
    from google.cloud import bigquery

PROJECT = "demo-project"
BUCKET = "demo-bucket"
SAMPLES = {"yellow": "2019-02", "green": "2019-02", "fhv": "2019-01", "fhvhv": "2019-02", "zones": None}
TABLES = {"zones": "taxi_zone_lookup"}


@dataclass
class Cloud:
    """A dataset and a bucket prefix of their own, and an independent client."""

    taxi: Command
    name: str
    environment: dict[str, str]
    client: bigquery.Client
    folder: Path

    def run(self, dataset: str, *more: str, month: str | None = None, file: str = "", warehouse: str = "") -> Ran:
        month = month or SAMPLES[dataset]
        template = file or (DATA.as_uri() + ("/{dataset}_tripdata_{month}.csv" if month else "/taxi_zone_lookup.csv"))
        where = warehouse or f"bigquery://{PROJECT}/{self.name}"
        part = ["--dataset", dataset, "--source", template, "--store", f"gs://{BUCKET}/{self.name}"]
        part += ["--warehouse", where, *(["--month", month] if month else []), "--json", *more]
        return self.taxi("run", *part, **self.environment)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.client.query(sql.replace("$", f"`{PROJECT}.{self.name}`")).result()]

    @property
    def places(self) -> tuple[str, ...]:
        """The options that name store and warehouse."""
        return ("--store", f"gs://{BUCKET}/{self.name}", "--warehouse", f"bigquery://{PROJECT}/{self.name}")

    def verify(self, *more: str) -> Ran:
        return self.taxi("verify", *self.places, *more, "--json", **self.environment)

    def count(self, dataset: str) -> int:
        ((count,),) = self.ask(f"SELECT COUNT(*) FROM $.{TABLES.get(dataset, f'{dataset}_tripdata')}")
        return int(count)


@pytest.fixture
def cloud(
    gcs_server: str, bigquery_server: str, taxi: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Cloud:
    environment = {
        "STORAGE_EMULATOR_HOST": gcs_server,
        "BIGQUERY_EMULATOR_HOST": bigquery_server,
        "TAXI_INGEST_LOAD__METHOD": "merge",
    }
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server)
    client = bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())
    return Cloud(taxi, f"d{uuid.uuid4().hex[:12]}", environment, client, tmp_path)


def workload_credentials(folder: Path, url: str) -> Path:
    """Credentials of a workload, such as a job of GitHub Actions, that signs in with a token of its own provider."""
    (folder / "token").write_text("a-token")
    document = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/v1/token",
        "credential_source": {"file": str(folder / "token")},
    }
    path = folder / "credentials.json"
    path.write_text(json.dumps(document))
    return path
