"""The standard library's `logging`, as events."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator

import pytest

import sluice

from .support.logging_job import LoggingJob


@pytest.fixture
def logger(job: LoggingJob) -> Iterator[logging.Logger]:
    """A logger of `logging` with a handler for the job."""
    made = logging.getLogger(f"test.{uuid.uuid4()}")
    made.setLevel(1)
    made.propagate = False
    made.addHandler(sluice.LoggingHandler(job.log))
    yield made
    made.handlers.clear()


def test_a_record_is_an_event_with_its_message_level_and_place(
    job: LoggingJob, logger: logging.Logger
) -> None:
    logger.warning("loss is %s at step %d", "nan", 7)
    event = job.event()
    assert (event.name, event.body, event.severity_number) == ("log", "loss is nan at step 7", 13)
    fields = job.fields()
    assert fields["logger"] == logger.name
    assert fields["file"] == __file__
    assert fields["function"] == "test_a_record_is_an_event_with_its_message_level_and_place"
    assert fields["line"] > 0
    assert set(fields) == {"logger", "file", "function", "line"}


def test_levels_have_their_severities(job: LoggingJob, logger: logging.Logger) -> None:
    for level in (1, 5, 10, 15, 20, 25, 30, 40, 50, 60, 1000):
        logger.log(level, "text")
    assert [event.severity_number or 9 for event in job.events()] == [1, 3, 5, 7, 9, 11, 13, 17, 21, 24, 24]


def test_extra_fields_are_fields_whatever_their_names(job: LoggingJob, logger: logging.Logger) -> None:
    logger.info("text", extra={"loss": 0.5, "step": 7, "time": 3, "severity": "high", "user": {"id": 1}})
    event = job.event()
    assert not event.HasField("step")
    assert event.severity_number in (0, 9)
    fields = job.fields()
    assert (fields["loss"], fields["step"], fields["time"]) == (0.5, 7, 3)
    assert (fields["severity"], fields["user"]) == ("high", '{"id":1}')
    assert job.log.stats().field_errors == 0


def test_an_exception_comes_with_its_traceback(job: LoggingJob, logger: logging.Logger) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed", stack_info=True)
    fields = job.fields()
    assert fields["exception.type"] == "ValueError"
    assert fields["exception.message"] == "broken"
    assert fields["exception.stacktrace"].endswith("ValueError: broken")
    assert fields["stack"].startswith("Stack (most recent call last):")


def test_a_message_whose_arguments_do_not_fit_is_kept_as_it_is(job: LoggingJob) -> None:
    record = logging.makeLogRecord({"msg": "step %d", "args": ("seven",), "levelno": logging.INFO})
    sluice.LoggingHandler(job.log).handle(record)
    assert job.event().body == "step %d ('seven',)"


def test_filters_and_the_handler_s_level_hold(job: LoggingJob, logger: logging.Logger) -> None:
    (handler,) = (each for each in logger.handlers if isinstance(each, sluice.LoggingHandler))
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    logger.info("too low")
    logger.warning("a secret")
    logger.warning("kept")
    assert job.event().body == "kept"


def test_without_a_logger_records_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice import create

    monkeypatch.setattr(create, "_default", [])
    handler = sluice.LoggingHandler()
    handler.handle(logging.makeLogRecord({"msg": "text"}))
    handler.close()
