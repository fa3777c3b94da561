"""The verbs, one a file, named as it is typed.

`run` is also download, parquetize, upload and load, which have its options; `plan` is also their --dry-run. `status`,
`history` and `logs` look at what was done; `catalog`, `config` and `cron` at what is known of a request. `query` and
`rows` ask the warehouse; `doctor` asks whether it can be used, and `verify` looks at every copy. `report` writes the
page, `clean` removes files.
"""
