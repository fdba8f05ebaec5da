"""The examples run as their headers say, and their questions have answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.collector.conftest import Run
from tests.support.processes import ROOT, run_command, start_command, until

EXAMPLES = ROOT / "examples"


def questions(folder: str, run: Run) -> dict[str, list[dict[str, Any]]]:
    """The answers by the first line of each statement's comment, for this run instead of the one that it names."""
    text = (EXAMPLES / folder / "questions.sql").read_text()
    text = re.sub(r"run_id = '[^']+'", f"run_id = '{run.name}'", text)
    answers = {}
    for statement in text.split(";"):
        lines = statement.strip().splitlines()
        sql = " ".join(line for line in lines if not line.startswith("--"))
        if sql:
            (question,) = [line[3:] for line in lines if line.startswith("-- ")][-1:]
            answers[question] = run.store.rows(sql)
    return answers


def test_two_ranks_under_torchrun_show_both_loss_curves(run: Run) -> None:
    command = [
        *[sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
        *[str(EXAMPLES / "pytorch" / "train.py"), "--epochs", "8"],
    ]
    finished = run_command(command, {**run.environment, "SLUICE_PROJECT": "", "OMP_NUM_THREADS": "1"}, 600)
    assert finished.returncode == 0, finished.stderr
    accuracy, steps = re.search(r"accuracy ([\d.]+) after (\d+) steps", finished.stdout).groups()  # type: ignore[union-attr]
    assert float(accuracy) > 0.8, finished.stdout
    run.settled()
    assert run.rows("rank, count() AS n", "AND name = 'train.step' GROUP BY rank ORDER BY rank") == [
        {"rank": 0, "n": int(steps)},
        {"rank": 1, "n": int(steps)},
    ]
    answers = questions("pytorch", run)
    curves = answers["How does the loss of each rank fall?"]
    assert len(curves) > 3
    for rank in ("rank_0", "rank_1"):
        assert curves[-1][rank] < curves[0][rank] / 2, curves
    epochs = answers["How good is the model after each epoch?"]
    assert [row["epoch"] for row in epochs] == list(range(8))
    assert abs(epochs[-1]["accuracy"] - float(accuracy)) < 0.002
    slowest = answers["Which rank do the others wait for, and is it the data or the step that takes long?"]
    assert [row["steps"] for row in slowest] == [int(steps), int(steps)]
    assert answers["Did any gradient explode, or any loss stop being a number?"] == []
    busy = answers["How busy were the processes, and how much memory did they take?"]
    assert all(row["rss_mib"] > 50 for row in busy)
    assert answers["Is everything there that was logged? (No row: yes.)"] == []


def test_recorded_requests_are_served_and_each_is_an_event(run: Run) -> None:
    command = [sys.executable, str(EXAMPLES / "inference" / "main.py"), "--requests", "100", "--speed", "200"]
    finished = run_command(command, {**run.environment, "SLUICE_PROJECT": ""}, 300)
    assert finished.returncode == 0, finished.stderr
    run.settled()
    answers = questions("inference", run)
    (latency,) = answers["How long do requests take, and how long until their first token?"]
    assert latency["requests"] > 90
    assert 0 < latency["first_token_p50_ms"] <= latency["p50_ms"] <= latency["p99_ms"]
    fates = {row["status"]: row["requests"] for row in answers["What becomes of requests?"]}
    assert sum(fates.values()) == 100
    assert fates["ok"] == latency["requests"]
    assert answers["Do long prompts wait longer?"]
    assert answers["How full are the batches, and when does the queue grow?"]
    slowest = answers["The ten slowest, to look them up in the traces."]
    assert len(slowest) == 10
    assert all(re.fullmatch(r"[0-9a-f]{32}", row["trace_id"]) for row in slowest)


def test_fastapi_serves_the_same_engine_under_uvicorn(run: Run) -> None:
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "app:app",
        "--app-dir",
        str(EXAMPLES / "inference"),
        "--port",
        "0",
    ]
    server = start_command(command, {**run.environment, "SLUICE_PROJECT": ""})
    try:
        port = _port_of(server)
        body = json.dumps({"prompt": "Licensed under ", "max_tokens": 40}).encode()
        for _ in range(5):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/generate", body, {"content-type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                answer = json.load(response)
            assert answer["text"].startswith("Licensed under ")
            assert len(answer["text"]) == len("Licensed under ") + 40
    finally:
        server.terminate()
        assert server.wait(60) in (0, -15)
    until(lambda: run.rows("name", "AND name = 'request'"), lambda rows: len(rows) == 5)
    assert run.rows("uniqExact(trace_id) AS n", "AND name = 'request'") == [{"n": 5}]


def _port_of(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", line)
        if found is not None:
            return int(found[1])
    raise AssertionError(f"uvicorn ended with {server.wait()}")


def test_the_examples_are_named_in_the_documentation() -> None:
    text = (Path(ROOT) / "docs" / "python.md").read_text()
    assert "examples/pytorch" in text
    assert "examples/inference" in text
