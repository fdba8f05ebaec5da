"""What is logged is what the tables hold."""

from __future__ import annotations

from datetime import datetime, timezone

from tests.collector.conftest import Run


def test_an_event_is_a_row_with_everything_that_was_given(run: Run) -> None:
    run.do(
        """
log.event("train.step", step=120, loss=2.31, lr=3e-4, phase="warmup", is_last=False, tags=["a", 1], skipped=None)
log.event("odd", nan=float("nan"), up=float("inf"), down=float("-inf"), big=2**70, exact=2**53, past=2**53 + 1)
assert log.flush(timeout=30).acknowledged
"""
    )
    run.stored(2)
    step, odd = run.rows("*", "ORDER BY sequence")
    assert (step["name"], step["step"], step["severity_number"]) == ("train.step", 120, 9)
    assert step["metrics"] == {"loss": 2.31, "lr": 3e-4}
    assert step["attributes"] == {"phase": "warmup", "is_last": "false", "tags": '["a",1]'}
    assert odd["attributes"] == {"big": str(2**70), "past": str(2**53 + 1)}
    kinds = run.rows(
        "isNaN(metrics['nan']) AS nan, metrics['up'] = inf AS up, metrics['down'] = -inf AS down,"
        " metrics['exact'] AS exact",
        "AND name = 'odd'",
    )
    assert kinds == [{"nan": 1, "up": 1, "down": 1, "exact": 2**53}]


def test_numpy_scalars_and_arrays_without_dimensions_are_numbers(run: Run) -> None:
    run.do(
        """
import numpy as np
log.event("numpy", step=np.int64(7), half=np.float16(0.5), single=np.float32(0.25), count=np.int32(-3),
    zero=np.array(1.5), flag=np.bool_(True), row=np.array([1, 2]))
log.close()
"""
    )
    run.stored(1)
    (row,) = run.rows("step, metrics, attributes")
    assert row["step"] == 7
    assert row["metrics"] == {"half": 0.5, "single": 0.25, "count": -3, "zero": 1.5}
    assert row["attributes"] == {"flag": "true", "row": "[1,2]"}


def test_metrics_of_any_name_and_the_functions_of_the_module_log_too(run: Run) -> None:
    run.do(
        """
log.metrics({"loss": 2.31, "grad/norm": 0.8, "time": 5}, step=3)
sluice.event("by.module", answer=42)
sluice.info("checkpoint saved", path="a.pt")
with log.timer("data.load", step=4):
    pass
sluice.close()
"""
    )
    run.stored(4)
    metrics, by_module, info, timer = run.rows(
        "name, step, body, metrics, attributes, severity_number", "ORDER BY sequence"
    )
    assert metrics["metrics"] == {"loss": 2.31, "grad/norm": 0.8, "time": 5}
    assert (metrics["name"], metrics["step"]) == ("metrics", 3)
    assert by_module["metrics"] == {"answer": 42}
    assert (info["name"], info["body"], info["attributes"]) == ("log", "checkpoint saved", {"path": "a.pt"})
    assert (timer["name"], timer["step"], list(timer["metrics"])) == ("data.load", 4, ["duration_s"])


def test_the_producer_says_who_it_is_from_the_launcher_s_variables(run: Run) -> None:
    launcher = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "TORCHELASTIC_RESTART_COUNT": "2"}
    run.do('log.event("hello")\nlog.close()', launcher)
    run.stored(1)
    (event,) = run.rows("rank, attempt, project")
    assert event == {"rank": 3, "attempt": 2, "project": "tests"}
    (producer,) = run.store.rows(
        f"SELECT rank, local_rank, world_size, attempt, sdk_name FROM producers FINAL WHERE run_id = '{run.name}'"
    )
    assert producer == {
        "rank": 3,
        "local_rank": 1,
        "world_size": 8,
        "attempt": 2,
        "sdk_name": "sluice-python",
    }


def test_the_standard_logging_module_logs_records_levels_exceptions_and_extra_fields(run: Run) -> None:
    run.do(
        """
import logging
logger = logging.getLogger("job.data")
logger.addHandler(sluice.LoggingHandler())
logger.setLevel(logging.DEBUG)
logger.warning("%d shards are %s", 3, "slow", extra={"shard": "x", "seconds": 1.5})
try:
    {}["missing"]
except KeyError:
    logger.exception("no such key")
log.close()
"""
    )
    run.stored(2)
    warning, error = run.rows("name, body, severity_number, metrics, attributes", "ORDER BY sequence")
    assert (warning["body"], warning["severity_number"]) == ("3 shards are slow", 13)
    assert warning["metrics"]["seconds"] == 1.5
    assert warning["attributes"]["shard"] == "x"
    assert (error["body"], error["severity_number"]) == ("no such key", 17)
    assert "KeyError" in str(error["attributes"])
    assert "Traceback" in str(error["attributes"])


def test_time_is_that_of_the_call_to_the_nanosecond_and_never_goes_backwards(run: Run) -> None:
    began = datetime.now(timezone.utc).timestamp()
    run.do("for step in range(5000): log.event('tick', step=step)\nlog.close()")
    ended = datetime.now(timezone.utc).timestamp()
    run.stored(5000)
    (row,) = run.rows(
        "min(toUnixTimestamp64Nano(time)) / 1e9 AS first, max(toUnixTimestamp64Nano(time)) / 1e9 AS last,"
        " countIf(toUnixTimestamp64Nano(time) % 1000 != 0) AS fine,"
        " arraySort(groupArray((sequence, toUnixTimestamp64Nano(time)))) AS ordered,"
        " arrayAll(x -> x >= 0, arrayDifference(arrayMap(each -> each.2, ordered))) AS ascends"
    )
    assert began <= row["first"] <= row["last"] <= ended
    assert row["fine"] > 0
    assert row["ascends"] == 1
