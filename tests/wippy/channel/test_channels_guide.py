"""The examples of the guide do what it says that they print."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock, run, skipping

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "channels.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *# -> (.*)$", re.MULTILINE)


def test_the_guide_has_examples() -> None:
    assert len(EXAMPLES) >= 6
    assert all(PRINTED.search(example) for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_prints_what_it_says(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(example, str(GUIDE), "exec"), names)
    if inspect.iscoroutinefunction(names["main"]):

        async def main(clock: FakeClock) -> None:
            await skipping(clock, names["main"]())

        run(main)
    else:
        names["main"]()
    assert capsys.readouterr().out.splitlines() == PRINTED.findall(example)
