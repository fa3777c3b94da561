"""The same tasks for those who type `doit`: `doit list`, `doit parquetize`, `doit month=2021-01..2021-03 load`."""

from doit import get_var

from taxi_ingest import job as request
from taxi_ingest import settings as config
from taxi_ingest.engine import doit_tasks as tasks
from taxi_ingest.engine import session
from taxi_ingest.engine.part import Runner
from taxi_ingest.process import ignore_broken_pipes
from taxi_ingest.report.plain import plain

_flags = {f"shared.{key}": value for key in ("month", "dataset") if (value := get_var(key))}
_pipeline, _notices = request.pipeline(config.read(_flags), verb="run")
ignore_broken_pipes()
_view = plain(_notices)
_session = session.Session(Runner(_pipeline), _view, "doit", wait=False)
globals().update(tasks.namespace(_session, tasks.Reporter(_session, plain_doit=True)))
