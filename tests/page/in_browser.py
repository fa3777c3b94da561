"""Looks at the page in headless Chromium: `in_browser.py [--chromium PROGRAM] [--pictures FOLDER]`.

On a phone and a desk, in light and dark: no message in the console, no dialog, no request but for the page itself,
nothing wider than the screen, no finding of axe-core, and in the grid arrow keys move. Prints a line for each view and
ends with 1 if anything was found. Needs `pip install '.[page]'` and a Chromium; people run it, and so do the
hosted checks.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from made_up import everything, hostile
from playwright.sync_api import Browser, Page, sync_playwright

from taxi_ingest.page.document import document

PAGES = {"everything": everything(160), "hostile": hostile()}
WIDTHS = (390, 1280)
SCHEMES: tuple[Any, ...] = ("light", "dark")
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def main() -> int:
    """Look at every page in every way; returns the exit code."""
    options = _options()
    found = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=list(QUIET))
        print(f"Chromium {browser.version}")
        for name, facts in PAGES.items():
            file = Path(folder) / f"{name}.html"
            file.write_text(document(facts), encoding="utf-8")
            for width in WIDTHS:
                for scheme in SCHEMES:
                    wrong = _look(browser, file, width, scheme, options.pictures)
                    print(f"{name}, {width} px, {scheme}: {'; '.join(wrong) or 'nothing found'}")
                    found += len(wrong)
        browser.close()
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser; otherwise Playwright's own")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each view")
    return parser.parse_args()


def _look(browser: Browser, file: Path, width: int, scheme: Any, pictures: Path | None) -> list[str]:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: request.url == file.as_uri() or wrong.append(f"request: {request.url}"))
    page.goto(file.as_uri())
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=pictures / f"{file.stem}-{width}-{scheme}.png", full_page=True)
    wrong += _keyboard(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append("wider than the screen")
    wrong += _axe(page)
    page.context.close()
    return wrong


def _axe(page: Page) -> Iterator[str]:
    for violation in Axe().run(page).response["violations"]:
        yield f"axe: {violation['id']}, {len(violation['nodes'])} times: {violation['nodes'][0]['html'][:120]}"


def _keyboard(page: Page) -> Iterator[str]:
    """Walk once around in the first grid, then open the month that has the focus."""
    grid = page.locator("table.grid").first
    if grid.locator("a").count() < 30:
        return
    if grid.locator("a[tabindex='0']").count() != 1:
        yield "Tab stops at more than one month of a grid"
    grid.locator("tr").nth(4).locator("a").nth(3).focus()
    before = page.evaluate("document.activeElement.title")
    names = []
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        names.append(page.evaluate("document.activeElement.title"))
    if len(set(names)) != 4 or names[-1] != before:
        yield f"arrow keys led from {before} to {names}"
    page.keyboard.press("Enter")
    if not page.evaluate("document.querySelector(':target').closest('details').open"):
        yield "Enter did not open the line of the month"


if __name__ == "__main__":
    sys.exit(main())
