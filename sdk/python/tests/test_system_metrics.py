"""Samples of the machine that runs the tests, and of GPUs as NVML tells of them."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

import sluice
from sluice.logger import Logger
from sluice.system_metrics import SystemMetrics, system_metrics


class Recorder:
    """What is needed of a logger: keeps what is logged."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.reports: list[str] = []
        self.is_closed = False
        self.arrived = threading.Event()

    def event(self, name: str, /, **fields: Any) -> None:
        self.events.append((name, fields))
        self.arrived.set()

    def report(self, kind: str, message: str) -> None:
        self.reports.append(message)

    def wait(self) -> tuple[str, dict[str, Any]]:
        assert self.arrived.wait(30), self.reports
        return self.events[0]


def sampling(recorder: Recorder) -> SystemMetrics:
    log: Any = recorder
    return SystemMetrics(log, 0.1, recorder.reports.append).start()


def test_a_sample_tells_cpu_memory_disk_network_and_the_process() -> None:
    recorder = Recorder()
    metrics = sampling(recorder)
    try:
        name, fields = recorder.wait()
    finally:
        metrics.stop()
    assert name == "system"
    wanted = {"cpu_percent", "load_1m", "process_cpu_percent", "process_rss_bytes", "process_threads"}
    wanted |= {"memory_used_bytes", "memory_percent", "network_sent_bytes_per_s", "disk_percent"}
    assert wanted <= set(fields)
    assert all(isinstance(value, (int, float)) and value >= 0 for value in fields.values()), fields
    assert fields["process_rss_bytes"] > 1_000_000
    assert 0 < fields["memory_percent"] <= 100
    assert recorder.reports == []


def test_it_goes_on_until_it_is_stopped_and_stopping_twice_is_harmless() -> None:
    recorder = Recorder()
    metrics = sampling(recorder)
    deadline_s = time.monotonic() + 30
    while len(recorder.events) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    metrics.stop()
    metrics.stop()
    count = len(recorder.events)
    assert count >= 3
    time.sleep(0.3)
    assert len(recorder.events) == count
    never_started: Any = recorder
    SystemMetrics(never_started, 1, print).stop()


def test_it_ends_with_its_logger() -> None:
    recorder = Recorder()
    metrics = sampling(recorder)
    recorder.wait()
    recorder.is_closed = True
    thread = metrics._thread
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()


def test_a_logger_that_nobody_has_any_more_is_not_kept_alive() -> None:
    recorder = Recorder()
    metrics = sampling(recorder)
    thread = metrics._thread
    del recorder
    assert thread is not None
    # Its reports are a list of the recorder's, not the recorder.
    thread.join(30)
    assert not thread.is_alive()


def test_a_missing_psutil_is_said_once_and_samples_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    recorder = Recorder()
    metrics = sampling(recorder)
    thread = metrics._thread
    assert thread is not None
    thread.join(30)
    assert recorder.reports == ["system metrics need psutil: pip install 'sluice-sdk[system]'"]
    assert recorder.events == []


def test_without_a_driver_the_real_nvml_brings_no_gpu_and_no_report() -> None:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pass
    else:
        pytest.skip("there is a GPU")
    recorder = Recorder()
    metrics = sampling(recorder)
    recorder.wait()
    metrics.stop()
    assert {name for name, _ in recorder.events} == {"system"}
    assert recorder.reports == []


class NVMLError(Exception):
    pass


def nvml(**changes: Any) -> SimpleNamespace:
    """NVML's own functions, for a machine with two GPUs, one of which has no power meter."""

    def power(handle: int) -> int:
        if handle == 1:
            raise NVMLError("not supported")
        return 250_000

    functions = {
        "NVMLError": NVMLError,
        "NVML_TEMPERATURE_GPU": 0,
        "NVML_CLOCK_SM": 1,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=90 + handle),
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=20, total=80),
        "nvmlDeviceGetTemperature": lambda handle, kind: 61,
        "nvmlDeviceGetPowerUsage": power,
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1410,
        "nvmlDeviceGetName": lambda handle: b"GPU" if handle else "GPU",
    }
    return SimpleNamespace(**{**functions, **changes})


def test_each_gpu_is_an_event_and_what_one_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    monkeypatch.setitem(sys.modules, "psutil", None)
    recorder = Recorder()
    metrics = sampling(recorder)
    recorder.wait()
    metrics.stop()
    first, second = [fields for name, fields in recorder.events if name == "system.gpu"][:2]
    assert first == {
        "gpu": 0,
        "gpu_percent": 90,
        "memory_used_bytes": 20,
        "memory_total_bytes": 80,
        "memory_percent": 25.0,
        "temperature_c": 61,
        "power_w": 250.0,
        "sm_clock_mhz": 1410,
        "gpu_name": "GPU",
    }
    assert second == {
        **{key: value for key, value in first.items() if key != "power_w"},
        "gpu": 1,
        "gpu_percent": 91,
    }


def test_gpus_that_fail_altogether_do_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(handle: int) -> Any:
        raise OSError("the driver is gone")

    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlDeviceGetUtilizationRates=fails))
    recorder = Recorder()
    metrics = sampling(recorder)
    deadline_s = time.monotonic() + 30
    while len(recorder.events) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    metrics.stop()
    assert {name for name, _ in recorder.events} == {"system"}
    (report,) = recorder.reports
    assert "the driver is gone" in report


@pytest.fixture
def offline(tmp_path: Any) -> Any:
    reports: list[str] = []
    log = sluice.init(
        mode="offline",
        spool_dir=tmp_path / "spool",
        on_diagnostic=lambda diagnostic: reports.append(diagnostic.message),
    )
    yield log, reports
    log.close()


@pytest.mark.parametrize("interval_s", [0, -1, math.nan, 1e9, True, "ten", None])
def test_an_interval_that_is_none_is_said_and_the_default_used(
    offline: tuple[Logger, list[str]], interval_s: Any
) -> None:
    _, reports = offline
    metrics = system_metrics(interval_s)
    metrics.stop()
    assert any("interval_s is" in report and "ignored" in report for report in reports), reports


def test_the_function_of_the_module_samples_for_the_default_logger(offline: tuple[Logger, list[str]]) -> None:
    log, reports = offline
    metrics = sluice.system_metrics(interval_s=0.1)
    deadline_s = time.monotonic() + 30
    while log.stats().logged == 0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    metrics.stop()
    assert log.stats().logged > 0
    assert reports == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_samples_nothing(offline: tuple[Logger, list[str]]) -> None:
    log, _ = offline
    metrics = sluice.system_metrics(interval_s=0.1)
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        metrics.stop()
        os._exit(0 if log.stats().logged == 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    metrics.stop()
