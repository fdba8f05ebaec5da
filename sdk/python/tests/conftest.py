"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

# Before gRPC is, which before Python 3.10 must be told what to do about forks; see sluice/delivery.
import sluice  # noqa: F401

from .support.fake_collector import FakeCollector
from .support.logging_job import LoggingJob


@pytest.fixture(scope="session")
def well_behaved() -> Iterator[FakeCollector]:
    """A collector that answers, for all tests that only log."""
    with FakeCollector() as collector:
        yield collector


@pytest.fixture
def make_job(well_behaved: FakeCollector) -> Iterator[Callable[..., LoggingJob]]:
    """Makes loggers with options, which are closed after the test."""
    jobs: list[LoggingJob] = []

    def make(collector: FakeCollector = well_behaved, **options: object) -> LoggingJob:
        jobs.append(LoggingJob(collector, **options))
        return jobs[-1]

    yield make
    for job in jobs:
        job.log.close(0)


@pytest.fixture(params=["blocks", "rows"])
def job(request: pytest.FixtureRequest, make_job: Callable[..., LoggingJob]) -> LoggingJob:
    """A logger of each encoding."""
    return make_job(encoding=request.param)
