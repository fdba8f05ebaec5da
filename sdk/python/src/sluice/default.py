"""The functions of the module: those of the logger of the last `init`."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.create import default_logger
from sluice.diagnostics import Diagnostics
from sluice.logger import FlushResult, Logger, LoggerStats, Timer

_diagnostics = Diagnostics()


def event(name: str, /, **fields: object) -> None:
    """As `Logger.event`."""
    logger = _logger()
    if logger is not None:
        logger.event(name, **fields)


def metrics(values: Mapping[str, object], step: int | None = None, *, name: str = "metrics") -> None:
    """As `Logger.metrics`."""
    logger = _logger()
    if logger is not None:
        logger.metrics(values, step, name=name)


def debug(body: str, /, **fields: object) -> None:
    """As `Logger.debug`."""
    logger = _logger()
    if logger is not None:
        logger.debug(body, **fields)


def info(body: str, /, **fields: object) -> None:
    """As `Logger.info`."""
    logger = _logger()
    if logger is not None:
        logger.info(body, **fields)


def warning(body: str, /, **fields: object) -> None:
    """As `Logger.warning`."""
    logger = _logger()
    if logger is not None:
        logger.warning(body, **fields)


def error(body: str, /, **fields: object) -> None:
    """As `Logger.error`."""
    logger = _logger()
    if logger is not None:
        logger.error(body, **fields)


def exception(body: str, /, **fields: object) -> None:
    """As `Logger.exception`."""
    logger = _logger()
    if logger is not None:
        logger.exception(body, **fields)


def timer(name: str, /, **fields: object) -> Timer:
    """As `Logger.timer`."""
    return Timer(_logger(), name, fields)


def flush(timeout: float | None = None) -> FlushResult:
    """As `Logger.flush`. Before `init` there is nothing to wait for."""
    logger = default_logger()
    return FlushResult(True, 0) if logger is None else logger.flush(timeout)


def close(timeout: float | None = None) -> FlushResult:
    """As `Logger.close`. Before `init` there is nothing to close."""
    logger = default_logger()
    return FlushResult(True, 0) if logger is None else logger.close(timeout)


def stats() -> LoggerStats | None:
    """As `Logger.stats`; None before `init`."""
    logger = default_logger()
    return None if logger is None else logger.stats()


def _logger() -> Logger | None:
    logger = default_logger()
    if logger is None:
        _diagnostics.report(
            "option",
            lambda: "something is logged before sluice.init() was called in this process, and goes nowhere",
        )
    return logger
