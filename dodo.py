"""The same tasks for those who type `doit`: `doit list`, `doit parquetize`, `doit month=2021-01..2021-03 load`."""

from doit import get_var

from taxi_ingest import settings
from taxi_ingest.engine.doit_tasks import Reporter, namespace
from taxi_ingest.engine.session import Session
from taxi_ingest.job import make_job
from taxi_ingest.process import ignore_broken_pipes
from taxi_ingest.report.plain import plain

_flags = {f"shared.{key}": value for key in ("month", "dataset") if (value := get_var(key))}
_job, _notices = make_job(settings.read(_flags), verb="run")
ignore_broken_pipes()
_notices += [f"{name}: {sentence}" for name, sentence in _job.unanswered.items()]
_session = Session(_job, plain(_notices), "doit", wait=False)
globals().update(namespace(_session, Reporter(_session, plain_doit=True)))
