"""tqdm: a console that does not tear progress bars apart, and a progress bar that logs how far it is.

    from sluice.integrations.tqdm import Console, tqdm

    console = Console(log)
    for batch in tqdm(batches, log=log, event="train.progress"):
        ...
        console.info("checkpoint saved", path=path)

The last line is an event, and a line above the bar.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from tqdm.auto import tqdm as _tqdm

import sluice
from sluice.limits import PROGRESS_INTERVAL_S


class Console:
    """Logs text as `Logger` does, and prints it as a line above all progress bars.

    :param log: the logger; default: the one of the last `sluice.init()`.
    :param file: where lines go; default stderr, where the bars are.
    :param level: only what is at least as severe is printed: `logging.DEBUG` and so on. Everything is logged.

    A stream that cannot be written any more, such as that of a terminal that is gone, is no reason to fail.
    """

    def __init__(
        self, log: sluice.Logger | None = None, *, file: TextIO | None = None, level: int = logging.INFO
    ) -> None:
        self._log = log
        self._file = file
        self._level = level

    def debug(self, body: str, /, **fields: Any) -> None:
        self._logger().debug(body, **fields)
        self._print(logging.DEBUG, body, fields)

    def info(self, body: str, /, **fields: Any) -> None:
        self._logger().info(body, **fields)
        self._print(logging.INFO, body, fields)

    def warning(self, body: str, /, **fields: Any) -> None:
        self._logger().warning(body, **fields)
        self._print(logging.WARNING, body, fields)

    def error(self, body: str, /, **fields: Any) -> None:
        self._logger().error(body, **fields)
        self._print(logging.ERROR, body, fields)

    def exception(self, body: str, /, **fields: Any) -> None:
        """The same as `error`, with the exception that is being handled; its last line is printed too."""
        error = sys.exc_info()[1]
        self._logger().exception(body, **fields)
        self._print(logging.ERROR, body, fields if error is None else {**fields, "exception": repr(error)})

    def _logger(self) -> sluice.Logger:
        if self._log is None:
            self._log = sluice.default_logger() or sluice.init()
        return self._log

    def _print(self, level: int, body: str, fields: dict[str, Any]) -> None:
        if level < self._level:
            return
        texts = [time.strftime("%H:%M:%S"), logging.getLevelName(level), str(body)]
        try:
            texts.extend(f"{key}={value}" for key, value in fields.items())
            _tqdm.write(" ".join(texts), file=self._file or sys.stderr)
        except Exception:
            # The event is on its way; a line for people must not end the job.
            return


class tqdm(_tqdm):  # type: ignore[misc]
    """A progress bar that logs how far it is: an event at most every `event_interval_s`, and one at its end.

    A disabled bar does not count, and logs nothing.

    Takes what `tqdm.auto.tqdm` takes, and

    :param log: the logger; default: the one of the last `sluice.init()`.
    :param event: the events' name; default `progress`.
    :param event_interval_s: default 10.

    Fields: `done`, `total` if it is known, `per_s` since the start, `elapsed_s`, and `description` if there is one.
    """

    def __init__(
        self,
        *args: Any,
        log: sluice.Logger | None = None,
        event: str = "progress",
        event_interval_s: float = PROGRESS_INTERVAL_S,
        **kwargs: Any,
    ) -> None:
        self._sluice = log or sluice.default_logger() or sluice.init()
        self._event_name = event
        self._event_interval_s = event_interval_s
        self._logged_s = self._began_s = time.monotonic()
        self._is_ended = False
        super().__init__(*args, **kwargs)

    def update(self, n: float | None = 1) -> bool | None:
        shown: bool | None = super().update(n)
        now_s = time.monotonic()
        if now_s - self._logged_s >= self._event_interval_s and not self.disable:
            self._logged_s = now_s
            self._log_progress(now_s)
        return shown

    def close(self) -> None:
        # Called again by `__del__`, also of a bar whose beginning failed.
        is_first = not self._is_ended and not getattr(self, "disable", True)
        self._is_ended = True
        if is_first:
            self._log_progress(time.monotonic())
        super().close()

    def _log_progress(self, now_s: float) -> None:
        elapsed_s = now_s - self._began_s
        fields: dict[str, Any] = {"done": self.n, "total": self.total, "elapsed_s": elapsed_s}
        if elapsed_s > 0:
            fields["per_s"] = (self.n - self.initial) / elapsed_s
        # tqdm keeps it with a colon behind it.
        description = (self.desc or "").rstrip(": ")
        if description:
            fields["description"] = description
        self._sluice.event(self._event_name, **fields)
