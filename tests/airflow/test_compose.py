"""The example's compose.yaml is one that Docker takes, and says what Airflow and the repository know.

compose-spec.json is the schema of the Compose Specification (github.com/compose-spec/compose-spec, Apache License 2.0,
schema/compose-spec.json of 2026-06-23), without its white space. Its checker and a reader of YAML come with Airflow.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import home
import pytest

from taxi_ingest.place import Place

EXAMPLE = home.REPOSITORY / "examples" / "airflow"
SCHEMA = Path(__file__).with_name("compose-spec.json")

READ = """
import json, sys, jsonschema, yaml
read = yaml.safe_load(open(sys.argv[1]))
broken = {**read, "services": {**read["services"], "scheduler": {"depends": ["migrate"]}}}
faults = jsonschema.Draft7Validator(json.load(open(sys.argv[2]))).iter_errors
print(json.dumps([read, [fault.message for fault in faults(read)], [fault.message for fault in faults(broken)]]))
"""

KNOWN = """
import json, sys
from airflow.configuration import conf
known = lambda section, option: option in conf.configuration_description.get(section, {}).get("options", {})
print(json.dumps([name for name in sys.argv[1:] if not known(*name.lower().split("__")[1:])]))
"""


def airflows_python(code: str, *arguments: str) -> Any:
    """What `code` prints as JSON in Airflow's environment, without settings of the developer's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [str(home.PYTHON), "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def checked() -> tuple[dict[str, Any], list[str], list[str]]:
    """The file as it is read, its faults, and those of one with a word that there is not."""
    if not home.is_installed():
        pytest.skip("Airflow is not installed: tests/airflow/install.sh .cache/airflow")
    read, faults, of_broken = airflows_python(READ, str(EXAMPLE / "compose.yaml"), str(SCHEMA))
    return read, faults, of_broken


@pytest.fixture(scope="module")
def compose(checked: tuple[dict[str, Any], list[str], list[str]]) -> dict[str, Any]:
    return checked[0]


def environment(compose: dict[str, Any]) -> dict[str, str]:
    """The environment that all of Airflow's services have."""
    (one,) = {json.dumps(service["environment"]) for name, service in compose["services"].items() if name != "postgres"}
    return dict(json.loads(one))


def test_it_is_valid_by_the_specification(checked: tuple[dict[str, Any], list[str], list[str]]) -> None:
    _, faults, of_broken = checked
    assert faults == []
    assert any("'depends'" in fault for fault in of_broken)


def test_what_it_mounts_and_builds_from_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source, target = mount.split(":")[:2]
            assert (EXAMPLE / source).exists() if source.startswith(".") else source in compose["volumes"], mount
            assert target.startswith("/")
    build = compose["services"]["scheduler"]["build"]
    context = (EXAMPLE / build["context"]).resolve()
    dockerfile = (context / build["dockerfile"]).read_text()
    copied = [
        word for line in re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", dockerfile, re.MULTILINE) for word in line.split()
    ]
    sent = {line[1:] for line in (EXAMPLE / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert copied
    assert set(copied) == sent
    assert all((context / name).exists() for name in copied)


def test_each_service_waits_for_one_that_there_is(compose: dict[str, Any]) -> None:
    waited_for = {name for service in compose["services"].values() for name in service.get("depends_on", {})}
    assert waited_for == {"postgres", "migrate"}
    assert waited_for <= compose["services"].keys()


def test_airflow_knows_its_settings(compose: dict[str, Any]) -> None:
    names = [name for name in environment(compose) if name.startswith("AIRFLOW__")]
    assert names
    assert airflows_python(KNOWN, *names, "AIRFLOW__CORE__NO_SUCH") == ["AIRFLOW__CORE__NO_SUCH"]


def test_the_databases_are_those_that_are_made(compose: dict[str, Any]) -> None:
    from taxi_ingest import settings

    made = (EXAMPLE / "databases.sql").read_text()
    role, password = re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(\w+)'", made)[0]
    config = settings.read({}, config=str(EXAMPLE / "dags" / "taxi-ingest.toml"))
    warehouse = Place.parse(config.global_.warehouse)
    assert f"CREATE DATABASE {warehouse.url.rpartition('/')[2]} OWNER {role}" in made
    assert warehouse.url.startswith(f"postgresql://{role}@postgres/")
    assert environment(compose)["PGPASSWORD"] == password
    server = compose["services"]["postgres"]["environment"]
    own = "postgresql+psycopg2://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_USER}".format(**server)
    assert environment(compose)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == own
    mounted = [mount.split(":")[1] for mount in compose["services"]["scheduler"]["volumes"]]
    assert any(Path(config.global_.store).is_relative_to(folder) for folder in mounted)
