"""Older runs made small: nearly all that a run with nothing to do records is that every step was up to date.

400 nights of 800 parts would list that more than a million times. Only the newest runs keep such a list; of the others
the number is kept, and how each step ended that was more than found up to date.
"""

from __future__ import annotations

import sqlite3

LISTED_RUNS = 30
"""So many of the newest runs list what was up to date."""

_UNFOLDED = """
SELECT run FROM runs
WHERE ended IS NOT NULL AND run NOT IN (SELECT run FROM folded)
AND rowid <= (SELECT rowid FROM runs ORDER BY rowid DESC LIMIT 1 OFFSET ?)
"""

_FOLD = """
INSERT INTO folded
SELECT ?1, (SELECT count(*) FROM (SELECT DISTINCT dataset, month FROM outcomes WHERE run = ?1)), 0
"""

# a step that once failed keeps its good ends, too: they end the count of its failures in a row
_REMOVE = """
DELETE FROM outcomes WHERE run = ? AND outcome = 'up_to_date' AND NOT EXISTS (
    SELECT 1 FROM outcomes AS other WHERE other.outcome = 'failed'
    AND other.dataset = outcomes.dataset AND other.month IS outcomes.month AND other.step = outcomes.step
)
"""


def fold(db: sqlite3.Connection) -> None:
    """Fold every run that ended and is not among the newest."""
    for (run,) in db.execute(_UNFOLDED, [LISTED_RUNS]).fetchall():
        with db:
            db.execute("BEGIN")
            db.execute(_FOLD, [run])
            removed = db.execute(_REMOVE, [run]).rowcount
            db.execute("UPDATE folded SET up_to_date = ? WHERE run = ?", [removed, run])
