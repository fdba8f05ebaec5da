"""Loggers with a spool directory, and what became of their events."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.create import create_logger
from sluice.diagnostics import Diagnostic
from sluice.logger import Logger
from sluice.spool.files import SpoolFiles

from .fake_collector import FakeCollector

#: Nobody listens there.
NOWHERE = "127.0.0.1:1"
KIB = 1024


class SpoolJob:
    """A logger and what it said."""

    def __init__(self, spool_dir: Path, endpoint: str = NOWHERE, **options: object) -> None:
        self.diagnostics: list[str] = []
        given = {
            "endpoint": endpoint,
            "spool_dir": str(spool_dir),
            "run": "job",
            "request_bytes": 8 * KIB,
            "request_age_ms": 20,
            "backoff_max_ms": 100,
            "on_diagnostic": self._say,
            **options,
        }
        self.logger: Logger = create_logger(given)
        self.id = self.logger.producer_id.replace("-", "")

    def _say(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(f"{diagnostic.kind}: {diagnostic.message}")

    def log(self, first: int, last: int, size: int = 1000) -> None:
        """Events that no other is like, so that each takes its room in every encoding."""
        for step in range(first, last + 1):
            self.logger.event("e", step=step, text=f"{step} ".ljust(size, "x"))

    def flush(self, timeout_s: float = 30.0) -> bool:
        return self.logger.flush(timeout=timeout_s).acknowledged


def fates(server: FakeCollector, producer_id: str) -> list[int | str]:
    """In the order of the numbers: an event's step, or the reason for which there is none; fails for a hole."""
    stored = server.model.producers[producer_id].fates if producer_id in server.model.producers else {}
    assert sorted(stored) == list(range(1, len(stored) + 1))
    return [fate if isinstance(fate, str) else fate.step for _, fate in sorted(stored.items())]


def files_in(folder: Path) -> list[str]:
    """Names of all files, below the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class FaultyDisk:
    """Lets operations of the disk fail, or hang, by their name."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.fault: Callable[[str, tuple[object, ...]], OSError | None] = lambda operation, arguments: None
        self.hanging = threading.Event()
        self.hanging.set()
        self.operations: list[str] = []
        names = [name for name in vars(SpoolFiles) if not name.startswith("_")]
        for name in names:
            patch.setattr(SpoolFiles, name, self._faulty(name, getattr(SpoolFiles, name)))

    def fail(self, *operations: str, code: int = errno.ENOSPC) -> None:
        """From now on these fail; none of them: all is well."""

        def fault(operation: str, arguments: tuple[object, ...]) -> OSError | None:
            return OSError(code, os.strerror(code)) if operation in operations else None

        self.fault = fault

    def _faulty(self, name: str, operation: Callable[..., object]) -> Callable[..., object]:
        def run(files: SpoolFiles, *arguments: object) -> object:
            self.operations.append(name)
            self.hanging.wait()
            error = self.fault(name, arguments)
            if error is not None:
                raise error
            return operation(files, *arguments)

        return run
