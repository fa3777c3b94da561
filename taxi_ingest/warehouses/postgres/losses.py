"""What its owner put on the table of a month, which a new table of that month would not have.

What is put on the whole table instead, every month has. Privileges on the month's table are carried over, by `grants`.
Row security could be carried over only together with all that its policies name, so it is left to its owner.
"""

from __future__ import annotations

from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses.postgres.connecting import Session
from taxi_ingest.warehouses.postgres.marks import LoadedTable

_NAMED = 5

_LOSSES = """
    SELECT 'row security' FROM pg_class WHERE oid = %(table)s AND (relrowsecurity OR relforcerowsecurity)
    UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(table)s
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
        WHERE tgrelid = %(table)s AND NOT tgisinternal AND tgparentid = 0
    UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(table)s
    UNION ALL SELECT 'privileges on column ' || attname FROM pg_attribute
        WHERE attrelid = %(table)s AND attacl IS NOT NULL AND NOT attisdropped
    UNION ALL SELECT 'constraint ' || conname FROM pg_constraint
        WHERE conrelid = %(table)s AND contype IN ('c', 'f', 'p', 'u', 'x') AND coninhcount = 0 AND conparentid = 0
    UNION ALL SELECT 'index ' || c.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        WHERE indrelid = %(table)s AND NOT c.relispartition
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
        WHERE prrelid = %(table)s
"""


def refuse_loss(session: Session, month: LoadedTable) -> None:
    """Raise WarehouseError, naming what a replacement of the month would lose, if there is anything."""
    found = [what for (what,) in session.db.execute(_LOSSES, {"table": month.oid}).fetchall()]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise WarehouseError(
            f"{session.place}: table {month.name} has {', '.join(found[:_NAMED])}{more} of its own, which the month "
            "would lose when it is replaced. It was left as it was. Put that on the whole table, drop it here with the "
            "grants that it limits, and run again."
        )
