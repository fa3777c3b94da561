"""--json-line: the result on the last line of stdout, as schedulers take it."""

from __future__ import annotations

import json

from conftest import ALL_UP_TO_DATE, Loaded


def test_the_result_is_one_line_and_says_what_json_says(loaded: Loaded) -> None:
    arguments = [argument for argument in loaded.arguments if argument != "--json"]
    ran = loaded.taxi("run", *arguments, "--json-line")
    assert (ran.code, ran.out.count("\n")) == (0, 1)
    document = json.loads(ran.out)
    assert document["parts"][0]["steps"] == ALL_UP_TO_DATE
    assert document.keys() == loaded.run().document.keys()
