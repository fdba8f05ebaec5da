"""The standard library's `logging`, as events."""

from __future__ import annotations

import logging
import threading

from sluice.create import default_logger
from sluice.encode.head import SEVERITY_MAX
from sluice.logger import Logger, exception_fields

#: What every record has; whatever else stands in one came by `extra`.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class LoggingHandler(logging.Handler):
    """Logs the records of `logging` as events named "log": `logging.getLogger().addHandler(sluice.LoggingHandler())`.

    The body is the message, or what a formatter makes of it; the severity is 5, 9, 13, 17 or 21 for DEBUG to
    CRITICAL, and in between for levels in between. Fields: `logger`, `file`, `line`, `function`, those of `extra`,
    and `exception.type`, `exception.message` and `exception.stacktrace` of an exception.

    - `log`: the logger; default that of the last `sluice.init()` at the moment of the record. Without one, records are
      passed over.

    Never raises. Records of the SDK's own threads are passed over, so that it does not log about its logging.
    """

    def __init__(self, log: Logger | None = None, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        logger = self._log or default_logger()
        if logger is None or threading.current_thread().name.startswith("sluice-"):
            return
        try:
            fields: dict[str, object] = {
                "logger": record.name,
                "file": record.pathname,
                "line": record.lineno,
                "function": record.funcName,
            }
            fields.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
            if record.exc_info:
                fields.update(exception_fields(record.exc_info[1]))
            elif record.exc_text:
                fields["exception.stacktrace"] = record.exc_text
            if record.stack_info:
                fields["stack"] = record.stack_info
            logger.log_record(_severity(record.levelno), self._message(record), fields)
        except Exception:
            self.handleError(record)

    def _message(self, record: logging.LogRecord) -> str:
        try:
            return record.getMessage() if self.formatter is None else self.format(record)
        except Exception:
            # Arguments that do not fit the text: as it is, both are worth more than nothing.
            return f"{record.msg} {record.args!r}"

    def createLock(self) -> None:
        """None: a log call needs no lock, and one that is held while the process forks would be held for ever."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock that other handlers have."""
        kept = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return bool(kept)


def _severity(level: int) -> int:
    """DEBUG (10) is 5, and each ten more are four more."""
    return max(1, min(SEVERITY_MAX, 5 + (level - logging.DEBUG) * 4 // 10))
