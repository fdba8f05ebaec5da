"""Real progress bars, and lines that do not tear them apart."""

from __future__ import annotations

from tests.collector.conftest import Run


def test_a_bar_logs_how_far_it_is_and_its_end(run: Run) -> None:
    finished = run.do(
        """
import time
from sluice.integrations.tqdm import tqdm
for _ in tqdm(range(50), desc="load", log=log, event="load.progress", event_interval_s=0.05, mininterval=0.01):
    time.sleep(0.01)
with tqdm(total=10, log=log) as bar:
    bar.update(4)
for _ in tqdm(range(5), disable=True, log=log): pass
"""
    )
    assert "load: 100%" in finished.err
    run.settled()
    rows = run.rows("metrics, attributes", "AND name = 'load.progress' ORDER BY sequence")
    assert len(rows) > 2
    done = [row["metrics"]["done"] for row in rows]
    assert done == sorted(done)
    assert done[-1] == 50
    assert rows[-1]["metrics"]["total"] == 50
    assert rows[-1]["metrics"]["per_s"] > 0
    assert rows[-1]["attributes"] == {"description": "load"}
    assert [row["metrics"]["done"] for row in run.rows("metrics", "AND name = 'progress'")] == [4]


def test_a_console_prints_a_line_above_the_bar_and_logs_an_event(run: Run) -> None:
    finished = run.do(
        """
import logging
from sluice.integrations.tqdm import Console, tqdm
console = Console(log, level=logging.INFO)
for step in tqdm(range(3), log=log):
    console.debug("not printed", step=step)
    console.warning("norm is high", step=step, norm=91.5)
try:
    {}["shard"]
except KeyError:
    console.exception("no shard")
"""
    )
    lines = [line for line in finished.err.replace("\r", "\n").split("\n") if "WARNING" in line]
    assert len(lines) == 3
    assert all(
        line.endswith(f"WARNING norm is high step={step} norm=91.5") for step, line in enumerate(lines)
    )
    assert "not printed" not in finished.err
    assert "KeyError" in finished.err
    run.stored(8)
    rows = run.rows(
        "body, severity_number, count() AS n", "AND name = 'log' GROUP BY body, severity_number ORDER BY body"
    )
    assert [(row["body"], row["severity_number"], row["n"]) for row in rows] == [
        ("no shard", 17, 1),
        ("norm is high", 13, 3),
        ("not printed", 5, 3),
    ]


def test_a_stream_that_cannot_be_written_costs_a_line_and_no_event(run: Run) -> None:
    run.do(
        """
from sluice.integrations.tqdm import Console
class Gone:
    def write(self, text): raise OSError("the terminal is gone")
    def flush(self): pass
Console(log, file=Gone()).info("saved")
"""
    )
    run.stored(1)
