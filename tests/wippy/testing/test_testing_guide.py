"""The examples of docs/guide/testing.md are run as they are printed, each on its own."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from wippy.testing import World

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_of_the_guide_holds(number: int) -> None:
    names: dict[str, Any] = {}
    # Each example goes on with the imports of the first.
    imports = [line for line in BLOCKS[0].splitlines() if re.match(r"from|import", line)]
    code = "\n".join([*imports, BLOCKS[number]])
    exec(compile(code, f"{GUIDE.name}[{number}]", "exec"), names)
    tests = [each for name, each in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        assert inspect.iscoroutinefunction(test)
        World.run(test)
