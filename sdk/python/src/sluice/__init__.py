"""Sluice: the event log for fleets of machine-learning jobs.

    import sluice

    log = sluice.init(project="gpt2", run="speedrun-7")
    log.event("train.step", step=120, loss=2.31, lr=3e-4)
    log.close()

The functions of this module use the logger of the last `sluice.init()`. Before that they log nothing, and say so once.
"""

from __future__ import annotations

from sluice.create import default_logger, init
from sluice.default import (
    close,
    debug,
    error,
    event,
    exception,
    flush,
    info,
    metrics,
    stats,
    timer,
    warning,
)
from sluice.diagnostics import Diagnostic
from sluice.logger import FlushResult, Logger, LoggerStats
from sluice.logging_handler import LoggingHandler
from sluice.system_metrics import system_metrics
from sluice.version import SDK_VERSION as __version__

__all__ = [
    "Diagnostic",
    "FlushResult",
    "Logger",
    "LoggerStats",
    "LoggingHandler",
    "__version__",
    "close",
    "debug",
    "default_logger",
    "error",
    "event",
    "exception",
    "flush",
    "info",
    "init",
    "metrics",
    "stats",
    "system_metrics",
    "timer",
    "warning",
]
