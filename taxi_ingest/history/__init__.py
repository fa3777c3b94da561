"""What happened: runs, attempts and outcomes, in one SQLite file, written as it happens.

A run is one invocation; an attempt is one try of one step of one part, with its log file; an outcome is how a step
of a part ended in a run. `schema` holds the tables and how old ones are brought up to date, `writing` is used by the
run under way, `reading` by those who look back, also while a run is on.
"""
