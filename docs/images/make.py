"""Makes the pictures of the documentation: `make.py [--chromium PROGRAM]`, in an environment with `taxi-ingest[page]`.

The terminal's are what rich makes of the real output of commands; the page's is what Chromium shows of a real report.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 100
SHOWN = "/srv/taxi"
"""Stands for the folder that the pictures are made in."""
HINT = "Look at it: "
"""Begins the line that opens the table; it names the program as it was called here."""
SCENES = {
    "run.svg": ["run --source demo --month 2021-03..2021-05"],
    "status.svg": ["status", "history --last 4"],
}
BEFORE = (
    "run --source demo --month 2019-01..2021-02",
    "run --source file:///copies/{dataset}_{month}.csv --month 2021-06",
)
SETTINGS = {"TAXI_INGEST_DEMO__ROWS": "20000", "TAXI_INGEST_GLOBAL__DATA_DIR": "data"}


def main() -> None:
    """Run the commands in a folder of their own, and write a picture of each scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser; otherwise Playwright's own")
    chromium = parser.parse_args().chromium
    with tempfile.TemporaryDirectory() as folder:
        for command in BEFORE:
            output(command, Path(folder))
        for name, commands in SCENES.items():
            picture(name, [(command, output(command, Path(folder))) for command in commands])
        output("report", Path(folder))
        page = Path(folder) / "data" / "report.html"
        page.write_text(page.read_text(encoding="utf-8").replace(folder, SHOWN), encoding="utf-8")
        page_picture(page, chromium)


def output(command: str, folder: Path) -> str:
    """What a command prints, with its colours."""
    environment = os.environ | SETTINGS | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    ran = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "taxi_ingest", *command.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return (ran.stdout + ran.stderr).partition(HINT)[0]


def picture(name: str, scene: list[tuple[str, str]]) -> None:
    """Write an SVG of commands and what they printed; it names no font that would have to be fetched."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for command, printed in scene:
        console.print(Text.assemble(("$ ", "bright_green"), (f"taxi-ingest {command}", "bold")))
        console.print(Text.from_ansi(printed))
    drawn = console.export_svg(title="taxi-ingest", unique_id=Path(name).stem)
    (HERE / name).write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), encoding="utf-8")


def page_picture(page: Path, chromium: str | None) -> None:
    """Write a PNG of the upper part of the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1100, "height": 1150})
        view.goto(page.as_uri())
        view.screenshot(path=HERE / "page.png")
        browser.close()


if __name__ == "__main__":
    main()
