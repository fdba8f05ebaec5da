"""A store for all tests of the folder, and collectors: one that all share, and one that a test may break."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.processes import UNTIL_S, Collector, Store, python_job, until

#: Longer than any of the jobs takes: one that hangs is a failure, not a wait for ever.
JOB_S = 120.0
#: Several times what an acknowledged event takes to show, with the small segments of these tests.
SETTLED_S = 2.0
runs = itertools.count(1)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


@pytest.fixture(scope="session")
def shared_collector(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Iterator[Collector]:
    collector = Collector(tmp_path_factory.mktemp("collector"), store).start()
    yield collector
    collector.stop()


@pytest.fixture
def own_collector(tmp_path: Path, store: Store) -> Iterator[Collector]:
    """Not started yet: the first `start()` finds its address, which it keeps."""
    collector = Collector(tmp_path / "collector", store)
    yield collector
    collector.stop()


class Counted(NamedTuple):
    """What SQL knows of one run."""

    events: int
    #: Distinct pairs of producer and number: less than `events` means duplicates.
    distinct: int
    producers: int
    #: Numbers that are neither an event nor a loss.
    gaps: int
    #: Numbers that are losses.
    lost: int


class Finished(NamedTuple):
    code: int
    out: str
    err: str


class Run:
    """One run in the tables, and jobs that log to it."""

    def __init__(self, store: Store, endpoint: str) -> None:
        self.store = store
        self.name = f"run-{next(runs)}-{time.time_ns()}"
        self.environment: dict[str, str] = {
            "SLUICE_ENDPOINT": endpoint,
            "SLUICE_PROJECT": "tests",
            "SLUICE_RUN": self.name,
        }

    def job(
        self, script: str, environment: Mapping[str, str] | None = None, *, before: str = ""
    ) -> subprocess.Popen[str]:
        """Starts a job; its script finds `log`, a logger of this run, which is made after what is to come before."""
        return python_job(
            f"{before}\nimport sluice\nlog = sluice.init()\n{script}",
            {**self.environment, **(environment or {})},
        )

    def script(self, path: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts a job that is a file, as one that spawns processes has to be."""
        return python_job(str(path), {**self.environment, **(environment or {})}, is_file=True)

    def finish(self, job: subprocess.Popen[str]) -> Finished:
        try:
            out, err = job.communicate(timeout=JOB_S)
        except subprocess.TimeoutExpired:
            job.kill()
            out, err = job.communicate()
            raise AssertionError(f"the job hangs; it said:\n{out}\n{err}") from None
        return Finished(job.returncode, out, err)

    def do(self, script: str, environment: Mapping[str, str] | None = None, *, before: str = "") -> Finished:
        """Runs a job to its end, which must be a good one."""
        finished = self.finish(self.job(script, environment, before=before))
        assert finished.code == 0, finished
        return finished

    def rows(self, columns: str, rest: str = "") -> list[dict[str, Any]]:
        return self.store.rows(f"SELECT {columns} FROM events WHERE run_id = '{self.name}' {rest}")

    def counted(self) -> Counted:
        producers = f"SELECT producer_id FROM producers WHERE run_id = '{self.name}'"
        return Counted(
            **self.store.row(
                f"""SELECT
                    (SELECT count() FROM events WHERE run_id = '{self.name}') AS events,
                    (SELECT uniqExact(producer_id, sequence) FROM events WHERE run_id = '{self.name}') AS distinct,
                    (SELECT uniqExact(producer_id) FROM events WHERE run_id = '{self.name}') AS producers,
                    (SELECT count() FROM sequence_gaps WHERE producer_id IN ({producers})) AS gaps,
                    (SELECT sum(last_sequence - first_sequence + 1) FROM losses WHERE run_id = '{self.name}') AS lost"""
            )
        )

    def stored(self, events: int) -> Counted:
        """Waits until so many events are stored, each once and with no hole, and not one more."""
        counted = until(self.counted, lambda now: now.events >= events and now.gaps == 0)
        assert (counted.events, counted.distinct, counted.gaps) == (events, events, 0), counted
        return counted

    def settled(self) -> Counted:
        """Waits until nothing more comes, for a job that has ended and of whose events nobody knows the number."""
        before = self.counted()
        deadline_s = time.monotonic() + UNTIL_S
        while True:
            time.sleep(SETTLED_S)
            now = self.counted()
            if now == before and now.events > 0:
                break
            assert time.monotonic() < deadline_s, now
            before = now
        assert (now.distinct, now.gaps) == (now.events, 0), now
        return now


@pytest.fixture
def run(store: Store, shared_collector: Collector) -> Run:
    return Run(store, shared_collector.endpoint)


@pytest.fixture
def own_run(store: Store, own_collector: Collector) -> Run:
    """Of a collector that the test may break; started."""
    return Run(store, own_collector.start().endpoint)
