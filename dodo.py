"""The same tasks for those who type `doit`: `doit list`, `doit parquetize`, `doit month=2021-01..2021-03 load`."""

from taxi_ingest.dodo import tasks

globals().update(tasks())
