"""What is known and what follows from it.

`receipts` are what finished steps left; `observe` looks at files, store and warehouse; `refresh` asks publishers what
they changed; `decide` says, from nothing but that, whether a step must run; `plan` foresees a whole run, and `status`
shows how far every part is. `retention` says whether a file may leave this disk, `orphans` finds those that no part
owns, and `room` what a run needs of each disk. `wanted` is what a job wants of a part, `mark` the identity of its
rows.
"""
