"""The verb `history`: runs, or one run's attempts. It takes no lock and needs no network."""

from __future__ import annotations

from dataclasses import asdict

from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import AsJson, Config, DataDir, Given, Last, OnlyFailed, Run


def history(
    run: Run = None,
    failed: OnlyFailed = False,
    last: Last = 20,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show runs, or one run's attempts."""
    from taxi_ingest import report
    from taxi_ingest.engine.holder import history_of
    from taxi_ingest.report import past as reporting

    layout = Given(config=config, data_dir=data_dir).layout()
    with history_of(layout) as past:
        if run is None:
            found = past.newest(last, failed=failed)
            if as_json:
                print_json({"runs": [asdict(one) for one in found]})
            elif found or not failed:
                reporting.runs(report.console(), found, layout.data_dir)
            else:
                report.say(report.console(), ["No run left anything undone."])
            return
        one = past.named(run)
        attempts, outcomes, notes = past.attempts(one, failed=failed), past.outcomes(one), past.notes(one)
    if as_json:
        ends = [part_fields(part) | {"step": step, "outcome": outcome} for part, step, outcome in outcomes]
        said = [part_fields(note.part) | {"note": note.sentence} for note in notes]
        print_json({"run": asdict(one), "attempts": [asdict(a) for a in attempts], "outcomes": ends, "notes": said})
    else:
        reporting.run(report.console(), one, attempts, outcomes, notes)
