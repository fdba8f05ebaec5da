"""The fake collector in a process of its own, so that a test's process is free to fork and has no gRPC server in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

PYTHON = Path(__file__).resolve().parents[2]


def environment(**variables: str) -> dict[str, str]:
    """Of a Python process that finds the SDK and the tests, without settings of the surroundings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "GRPC_"))}
    return {**kept, "PYTHONPATH": f"{PYTHON / 'src'}{os.pathsep}{PYTHON}", **variables}


class CollectorProcess:
    """Use as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fake_collector", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.endpoint = f"127.0.0.1:{self.port}"
        self._result: dict[str, Any] | None = None

    def stop(self) -> dict[str, Any]:
        """Stops it; what it has stored: see fake_collector.py."""
        if self._result is None:
            out, _ = self._process.communicate("", timeout=30)
            self._result = json.loads(out)
        return self._result

    def __enter__(self) -> CollectorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def run_python(
    code: str, *arguments: str, timeout_s: float = 90.0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program; its output and exit code are the test's to judge."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
