"""What is known and what follows from it.

* What is known: `receipts` are what finished steps left, `mark` is the identity of a part's rows, `wanted` what a job
  wants of a part. `observe` looks at files (`on_disk`), store and warehouse; `carried` are the receipts that an object
  in the store brings along; `refresh` asks publishers what they changed; `counts` are the rows in the warehouse.
* What follows, as pure functions: `decide` says whether a step must run, `foresee` what will come of all steps of a
  part, `retention` whether a file may leave this disk.
* `plan` foresees a whole run, `room` what it needs of each disk, `status` is how far every part is, `orphans` are files
  that no part owns.
"""
