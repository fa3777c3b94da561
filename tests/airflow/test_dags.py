"""DAGs in a real Airflow: `airflow dags test`, from a publisher on loopback to a table."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from datetime import date, timedelta
from pathlib import Path

import home
import pytest
from conftest import MONTH, Publisher, answer, query

MONTHS = ("2020-01", "2019-02")
DAGS = """
from taxi_ingest.airflow import dag

WHERE = {{"source": {source!r}, "warehouse": "duckdb:{folder}/taxi.duckdb"}}
dag("yellow", config={{"global": {{**WHERE, "store": {store!r}}}}}, dag_id="apart")
dag("yellow", config={{"global": WHERE, "download": {{"tries": 2}}}}, dag_id="together", shared="{folder}/data")
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database of Airflow, to be copied: making one takes seconds."""
    if not home.is_installed():
        pytest.skip("Airflow is not installed: tests/airflow/install.sh .cache/airflow")
    made = home.Home(tmp_path_factory.mktemp("airflow"))
    made.create("")
    return made.folder / "airflow.db"


@pytest.fixture
def airflow(database: Path, gcs_server: str, publisher: Publisher, tmp_path: Path) -> home.Home:
    for month in MONTHS:
        publisher.files[f"/yellow_tripdata_{month}.csv"] = MONTH.with_stem(f"yellow_tripdata_{month}").read_bytes()
    ours = home.Home(tmp_path, {"STORAGE_EMULATOR_HOST": gcs_server})
    (tmp_path / "airflow.db").write_bytes(database.read_bytes())
    for folder in ("dags", "scratch"):
        (tmp_path / folder).mkdir()
    store = f"gs://demo-bucket/{uuid.uuid4().hex}"
    (tmp_path / "dags" / "taxi.py").write_text(DAGS.format(source=publisher.template, store=store, folder=tmp_path))
    return ours


def run(airflow: home.Home, dag_id: str, months: str, *, fails: bool = False) -> str:
    return airflow.airflow("dags", "test", dag_id, "--conf", json.dumps({"months": months}), fails=fails)


def by_command_line(publisher: Publisher, folder: Path) -> list[tuple[object, ...]]:
    """The rows that `taxi-ingest run` makes of the same files."""
    months = ",".join(MONTHS)
    command = [sys.executable, "-m", "taxi_ingest", "run", "--month", months, "--source", publisher.template]
    subprocess.run([*command, "--data-dir", str(folder)], check=True, capture_output=True)
    return query(folder / "taxi.duckdb", "FROM yellow_tripdata ORDER BY ALL")


def test_workers_that_share_nothing_make_the_same_table_as_the_command_line(
    airflow: home.Home, publisher: Publisher, tmp_path: Path
) -> None:
    run(airflow, "apart", ",".join(MONTHS))
    assert airflow.states("apart") == {
        "parts": ["success"], "month.to_store": ["success"] * 2, "month.load": ["success"] * 2,
    }  # fmt: skip
    rows = query(tmp_path / "taxi.duckdb", "FROM yellow_tripdata ORDER BY ALL")
    assert rows == by_command_line(publisher, tmp_path / "by-command-line")
    assert airflow.left_in_scratch == []
    # the grid tells rows and rejects, and those who wait for the table hear of the month
    loads = [instance.label for instance in airflow.instances("apart") if instance.task == "month.load"]
    assert loads == ["2019-02: 8 rows, 0 rejects", "2020-01: 999 rows, 0 rejects"]
    events = airflow.ask("SELECT partition_key, extra FROM asset_event ORDER BY 1")
    assert [(month, json.loads(extra)["rows"]) for month, extra in events] == [("2019-02", 8), ("2020-01", 999)]
    # and a second run fetches nothing
    publisher.requests.clear()
    said = run(airflow, "apart", ",".join(MONTHS))
    assert (publisher.requests, "is done" in said) == ([], False)


def test_an_unpublished_month_is_skipped_and_a_bad_file_fails_once_and_stops_no_other(
    airflow: home.Home, publisher: Publisher, tmp_path: Path
) -> None:
    recent = f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}"
    publisher.files["/yellow_tripdata_2019-05.csv"] = b"<html>not a csv</html>"
    held_back = publisher.files["/yellow_tripdata_2019-02.csv"]

    def once_429(to: object) -> None:
        publisher.files["/yellow_tripdata_2019-02.csv"] = held_back
        answer(to, 429, b"", Retry_After="1")  # type: ignore[arg-type]

    publisher.files["/yellow_tripdata_2019-02.csv"] = once_429
    said = run(airflow, "together", f"2019-02,2019-05,2020-01,{recent}", fails=True)
    downloads = {
        instance.label: (instance.state, instance.tries)
        for instance in airflow.instances("together")
        if instance.task == "month.download"
    }
    assert downloads == {
        "2019-02": ("success", 2), "2019-05": ("failed", 1), "2020-01": ("success", 1),
        f"{recent}: not published yet": ("skipped", 1),
    }, said  # fmt: skip
    assert sorted(airflow.states("together")["month.load"]) == ["skipped", "success", "success", "upstream_failed"]
    assert query(tmp_path / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(1007,)]


def test_a_task_is_called_by_its_month_or_its_dataset(airflow: home.Home) -> None:
    code = (
        "from types import SimpleNamespace as Task; import jinja2; from taxi_ingest.airflow.tasks import _NAME\n"
        "for part in ({'dataset': 'zones', 'month': None}, {'dataset': 'yellow', 'month': '2019-07'}):\n"
        "    print(jinja2.Template('{{ ' + _NAME + ' }}').render(task=Task(op_kwargs={'part': part})))\n"
    )
    assert python(airflow, code)[-2:] == ["zones", "2019-07"]


def test_the_form_of_a_run_takes_the_sources_that_the_dag_names_and_no_other(airflow: home.Home) -> None:
    code = (
        "from taxi_ingest.airflow import dag\n"
        "where = {'store': 'gs://bucket', 'warehouse': 'bigquery://p/d'}\n"
        "mine = ['https://mine/{month}.csv']\n"
        "source = dag('yellow', config={'global': where}, sources=mine).params.get_param('source')\n"
        "for given in (None, 'tlc', *mine, 'https://host/{month}.csv', 'file:///etc/passwd', 'demo'):\n"
        "    try: source.resolve(given); print('taken')\n"
        "    except Exception: print('refused')\n"
    )
    assert python(airflow, code)[-6:] == ["taken"] * 3 + ["refused"] * 3


def test_the_form_of_a_run_takes_months_as_the_command_line_does(airflow: home.Home) -> None:
    taken = ["2021", "2021-01", "2021..2022", "2021-01..2021-03, 2022-05", "latest", "2021-01..latest"]
    code = (
        "from taxi_ingest.airflow import dag; from taxi_ingest.catalog.months import parse_months\n"
        "where = {'store': 'gs://bucket', 'warehouse': 'bigquery://p/d'}\n"
        "months = dag('yellow', config={'global': where}).params.get_param('months')\n"
        f"print([len(parse_months([months.resolve(given)], lambda: '2022-06')) for given in {taken}])\n"
        "for given in ('2021-1', 'x', '2021-01;', '2021-01 2021-02'):\n"
        "    try: months.resolve(given); print('taken')\n"
        "    except Exception: print('refused')\n"
    )
    assert python(airflow, code)[-5:] == ["[12, 1, 24, 4, 1, 18]", *["refused"] * 4]


def test_the_month_of_a_date_is_that_of_airflows_own_time_zone(airflow: home.Home) -> None:
    code = (
        "from types import SimpleNamespace as Run; from airflow.sdk import timezone\n"
        "from taxi_ingest.airflow.tasks import _month_of\n"
        "midnight = timezone.parse('2021-01-01')  # as somebody writes it where Airflow stands\n"
        "today = timezone.parse('2026-11-01')\n"
        "runs = ((None, midnight), ('2019-07', midnight), (None, today), (None, None))\n"
        "made = [Run(partition_key=key, logical_date=day, run_after=today) for key, day in runs]\n"
        "print(*[_month_of(run, 3) for run in made])\n"
    )
    months = python(airflow, code, AIRFLOW__CORE__DEFAULT_TIMEZONE="Asia/Tokyo")[-1]
    assert months == "2021-01 2019-07 2026-08 2026-08"


def python(airflow: home.Home, code: str, **environment: str) -> list[str]:
    """What `code` prints, line by line, in Airflow's environment."""
    done = subprocess.run(
        [str(home.PYTHON), "-c", code],
        env=airflow.variables | environment, cwd=airflow.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_reading_a_dag_file_loads_no_client_and_no_arrow(airflow: home.Home) -> None:
    code = (
        "import runpy, sys; import airflow.sdk; before = set(sys.modules); runpy.run_path('dags/taxi.py')\n"
        "new = set(sys.modules) - before\n"
        "print(sorted({'duckdb', 'google.cloud', 'psycopg', 'pyarrow', 'requests', 'rich'} & new))\n"
    )
    assert python(airflow, code)[-1] == "[]"


def test_what_may_pass_is_tried_again_when_the_far_side_asked_and_what_lasts_is_not(airflow: home.Home) -> None:
    code = (
        "from taxi_ingest import errors; from taxi_ingest.airflow.tasks import WhatMayPass\n"
        "faults = [errors.TransientError('x', retry_after=7), errors.TransientError('x'), errors.InUseError('x'),\n"
        "          errors.ContentError('x'), errors.UsageError('x'), OSError('x')]\n"
        "for one in [WhatMayPass().evaluate(fault, 1, 3) for fault in faults]:\n"
        "    print(one.action.value, one.retry_delay and one.retry_delay.total_seconds())\n"
    )
    assert python(airflow, code)[-6:] == [
        "retry 7.0", "retry None", "default None", "fail None", "fail None", "default None",
    ]  # fmt: skip


def test_the_example_makes_its_dags(airflow: home.Home) -> None:
    example = home.REPOSITORY / "examples" / "airflow" / "dags" / "taxi_trips.py"
    code = f"import runpy; print([made.dag_id for made in runpy.run_path({str(example)!r})['DAGS']])"
    assert python(airflow, code)[-1] == "['taxi_ingest_yellow', 'taxi_ingest_green', 'taxi_ingest_zones']"


def test_the_dag_that_readme_and_documentation_show_is_one(airflow: home.Home) -> None:
    pages = [(home.REPOSITORY / page).read_text(encoding="utf-8") for page in ("README.md", "docs/airflow.md")]
    blocks = [re.findall(r"```python\n(from taxi_ingest.airflow.*?)```", page, re.DOTALL) for page in pages]
    assert blocks[0] == blocks[1]
    (airflow.folder / "dags" / "taxi.py").write_text(*blocks[0])
    assert "taxi_ingest_yellow" in airflow.airflow("dags", "list", "--output", "plain", "--local")


def test_a_connection_gives_googles_clients_their_key_for_as_long_as_the_task_runs(airflow: home.Home) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": '{"type": "x"}', "project": "p"}}
    code = (
        "import os; from pathlib import Path; from taxi_ingest.airflow.tasks import google_credentials\n"
        "with google_credentials('lake'):\n"
        "    path = Path(os.environ['GOOGLE_APPLICATION_CREDENTIALS'])\n"
        "    print(path.read_text(), os.environ['GOOGLE_CLOUD_PROJECT'])\n"
        "print(path.exists(), 'GOOGLE_APPLICATION_CREDENTIALS' in os.environ)\n"
        "for name in ('empty', 'other'):\n"
        "    try:\n"
        "        with google_credentials(name): print('another account is used')\n"
        "    except Exception as error: print(error)\n"
    )
    connections = {"AIRFLOW_CONN_LAKE": json.dumps(connection), "AIRFLOW_CONN_EMPTY": "google-cloud-platform://"}
    connection["extra"] |= {"impersonation_chain": "other@p.iam"}  # type: ignore[operator]
    said = python(airflow, code, **connections, AIRFLOW_CONN_OTHER=json.dumps(connection))[-4:]
    assert said[:2] == ['{"type": "x"} p', "False False"]
    assert "The connection empty has no key" in said[2]
    assert "The connection other acts as another account (impersonation_chain)" in said[3]


def test_a_month_that_is_waited_for_is_late_before_the_sensor_gives_it_up(airflow: home.Home) -> None:
    code = (
        "from taxi_ingest.airflow import dag\n"
        "config = {'global': {'store': 'gs://b', 'warehouse': 'bigquery://p/d'}, 'download': {'grace_days': 100}}\n"
        "print(dag('yellow', config=config, wait=True).get_task('month.published').timeout)\n"
    )
    last, grace = 31, 100  # the run of the first day of a month, for that month
    assert float(python(airflow, code)[-1]) >= (last + grace) * 86_400


def test_what_is_given_beside_a_dag_is_added_or_refused(airflow: home.Home) -> None:
    code = (
        "from pathlib import Path; from taxi_ingest.airflow import dag\n"
        "config = Path('taxi.toml').resolve()\n"
        'config.write_text(\'[global]\\nstore = "gs://b"\\nwarehouse = "bigquery://p/d"\')\n'
        "print(sorted(dag('yellow', config=config, params={'team': 'x'}).params))\n"
        "for wrong in ({'pools': {'laod': 'x'}}, {'schedule': '@daily'}, {'schedule': [config]}):\n"
        "    try: dag('yellow', config=config, **wrong)\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    params, pool, schedule, schedules = python(airflow, code)[-4:]
    assert params == "['force', 'months', 'refresh', 'source', 'team']"
    assert pool == "UsageError pools: there is no task 'laod'. Tasks: to_store, load."
    assert "once in every month, and '@daily' does not" in schedule
    assert schedules.startswith("UsageError A run is a month, so the schedule must come once in every month")
