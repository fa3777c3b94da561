"""The warehouse in force, for the verbs that ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxi_ingest.settings import Settings
    from taxi_ingest.warehouses import Warehouse


def opened_warehouse(settings: Settings) -> Warehouse:
    """The warehouse in force; what it waits for is told."""
    from dataclasses import replace

    from taxi_ingest import report
    from taxi_ingest.job import options_of, warehouse_of
    from taxi_ingest.warehouses import open_warehouse

    return open_warehouse(warehouse_of(settings), replace(options_of(settings), announce=report.tell))
