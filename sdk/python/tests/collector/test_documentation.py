"""What the documentation shows is run here."""

from __future__ import annotations

import ast
import re

import pytest

from tests.collector.conftest import Run
from tests.support.processes import ROOT, python_job

FILES = ("README.md", "docs/python.md", "sdk/python/README.md")


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


@pytest.mark.parametrize("name", FILES)
def test_every_block_of_python_is_python(name: str) -> None:
    for block in blocks(name):
        ast.parse(block)


@pytest.mark.parametrize(("name", "events"), [("README.md", 201), ("docs/python.md", 401)])
def test_the_first_block_of_python_logs_what_it_says(run: Run, name: str, events: int) -> None:
    block = re.sub(r'run="[^"]+"', f'run="{run.name}"', blocks(name)[0])
    finished = run.finish(python_job(block, run.environment))
    assert (finished.code, finished.err) == (0, "")
    run.stored(events)
    (steps,) = run.rows("count() AS n, max(step) AS last", "AND name = 'train.step'")
    assert steps == {"n": 200, "last": 200}
