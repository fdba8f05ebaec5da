"""The real collector and the real embedded store, as processes of their own on free ports of this machine."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[4]
COMMAND = ROOT / "collector" / "bin" / "sluice.js"
#: Several times what a start takes on a busy machine.
START_S = 60.0
STOP_S = 60.0
#: Until something shows in SQL: far more than the collector's longest wait for a fuller batch.
UNTIL_S = 60.0

Value = TypeVar("Value")


def until(probe: Callable[[], Value], wanted: Callable[[Value], bool], timeout_s: float = UNTIL_S) -> Value:
    """Asks again and again until the answer is the wanted one; fails with the last one."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if wanted(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {timeout_s:g} s; the last value is {value!r}")
        time.sleep(0.05)


def _die_with_parent() -> None:
    """A test run that is killed leaves nothing behind. Linux only; elsewhere the fixtures have to be enough."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without the settings of whoever runs the tests."""
    launchers = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLUICE_", "SLURM_", "OMPI_", "TORCHELASTIC_")) and name not in launchers
    }
    # Which encoding the jobs use may be chosen from outside, to run all of this with both.
    if "SLUICE_ENCODING" in os.environ:
        kept["SLUICE_ENCODING"] = os.environ["SLUICE_ENCODING"]
    return {**kept, **(more or {})}


class NodeProcess:
    """A `sluice` command that lives until it is stopped or killed."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        node = shutil.which("node")
        if node is None:
            raise RuntimeError("node is not on the PATH")
        self._process = subprocess.Popen(
            [node, str(COMMAND), *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if "SLUICE_TEST_LOG" in os.environ else subprocess.DEVNULL,
            env=_environment({"SLUICE_LOG_LEVEL": "warn", **(environment or {})}),
            preexec_fn=_die_with_parent,
        )
        self.ready = self._first_line()

    def _first_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"{"):
                ready: dict[str, Any] = json.loads(line)
                if ready.get("ready"):
                    return ready
        raise RuntimeError(
            f"it ended with exit code {self._process.wait(START_S)}; SLUICE_TEST_LOG=1 shows why"
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def pause(self) -> None:
        """It hangs: its sockets stay open, and nothing is read or answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """As an operator stops it. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Store:
    """The embedded store: ClickHouse's HTTP protocol."""

    def __init__(self, folder: Path) -> None:
        self._node = NodeProcess(["store", "--data", str(folder), "--port", "0"])
        self.url: str = self._node.ready["store"]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        query = f"{statement} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
        request = urllib.request.Request(self.url, data=query.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return [json.loads(line) for line in response.read().decode().splitlines()]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.read().decode()}\nin: {statement}") from None

    def row(self, statement: str) -> dict[str, Any]:
        (row,) = self.rows(statement)
        return row

    def stop(self) -> None:
        self._node.stop()


#: So that what was logged shows in SQL soon.
SMALL_SEGMENTS = {"SLUICE_WAL_SEGMENT_AGE_MS": "100", "SLUICE_WAL_SEGMENT_MOST_AGE_MS": "100"}


class Collector:
    """One address and one data directory, behind which a collector lives, dies and lives again."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._node: NodeProcess | None = None
        self.endpoint = "127.0.0.1:0"

    def start(self) -> Collector:
        self._node = NodeProcess(
            ["collector", "--data", str(self._folder), "--grpc", self.endpoint, "--store", self._store.url],
            SMALL_SEGMENTS,
        )
        # The same again after a kill, so that whoever talks to it finds it.
        self.endpoint = self._node.ready["grpc"]
        return self

    @property
    def node(self) -> NodeProcess:
        assert self._node is not None, "start comes first"
        return self._node

    def kill(self) -> None:
        self.node.kill()

    def stop(self) -> None:
        if self._node is not None:
            self._node.stop()


def python_job(
    script: str, environment: Mapping[str, str] | None = None, *, is_file: bool = False
) -> subprocess.Popen[str]:
    """A job in a Python of its own, as this one: a script, or a file with one. What it prints can be read."""
    return subprocess.Popen(
        [sys.executable, *([] if is_file else ["-c"]), script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
        preexec_fn=_die_with_parent,
    )


def start_command(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts a program whose output can be read."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
        preexec_fn=_die_with_parent,
    )


def run_command(
    command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=_environment(environment),
        timeout=timeout_s,
        check=False,
    )


def sluice_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The collector's command line, as it is typed."""
    return run_command([shutil.which("node") or "node", str(COMMAND), *arguments])
