"""What the machine does while the job runs: CPU, memory, disk, network and GPUs, as events."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sluice.create import default_logger, init
from sluice.limits import (
    SYSTEM_METRICS_INTERVAL_MAX_S,
    SYSTEM_METRICS_INTERVAL_MIN_S,
    SYSTEM_METRICS_INTERVAL_S,
    SYSTEM_METRICS_STOP_S,
)
from sluice.logger import Logger

#: One event: its name, and its fields in an order that stays.
Sample = tuple[str, Mapping[str, Any]]


class SystemMetrics:
    """Samples the machine on a thread of its own, until `stop()` or the end of the process.

    Events, each every `interval_s`:

    - `system`: `cpu_percent` of all cores together and `load_1m` of the machine; `process_cpu_percent` (100 is one
      core), `process_rss_bytes`, `process_threads` and `process_open_files` of this process; `memory_used_bytes`,
      `memory_percent` of the machine, `container_memory_used_bytes` and `container_memory_limit_bytes` where a control
      group says so; `disk_read_bytes_per_s`, `disk_written_bytes_per_s`, `network_sent_bytes_per_s` and
      `network_received_bytes_per_s` of the machine; `disk_percent` of the file system with the working directory.
      Needs `psutil`.
    - `system.gpu`, for each GPU: `gpu` (its index), `gpu_percent`, `memory_used_bytes`, `memory_total_bytes`,
      `memory_percent`, `temperature_c`, `power_w`, `sm_clock_mhz`, and `gpu_name`. Needs `pynvml`.

    What a machine does not tell is left out. A process that forks samples nothing in the child.
    """

    def __init__(self, log: Logger, interval_s: float, report: Callable[[str], None]) -> None:
        """`report` is told, in words, what cannot be sampled."""
        self._log = weakref.ref(log)
        self._interval_s = interval_s
        self._report = report
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> SystemMetrics:
        """Starts the thread. Called again, it does nothing."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="sluice-system-metrics", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError as error:
                # The system has no more threads, or the interpreter is about to end.
                self._report(f"system metrics are not logged: {error}")
        return self

    def stop(self) -> None:
        """Ends the thread, for which it waits for at most two seconds. Idempotent; safe without `start`."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(SYSTEM_METRICS_STOP_S)

    def _run(self) -> None:
        samplers = [sampler for sampler in (_machine(self._report), _gpus()) if sampler is not None]
        while samplers and not self._stopping.wait(self._interval_s):
            log = self._log()
            if log is None or log.is_closed:
                break
            for sampler in list(samplers):
                try:
                    for name, fields in sampler():
                        log.event(name, **fields)
                except Exception as error:
                    # A driver that goes away, a /proc that cannot be read: the others go on.
                    samplers.remove(sampler)
                    self._report(f"some system metrics are not logged any more: {error!r}")
            # Not held while it sleeps: a logger that nobody else has goes away.
            del log


def system_metrics(interval_s: float = SYSTEM_METRICS_INTERVAL_S, log: Logger | None = None) -> SystemMetrics:
    """Logs what the machine does, every so many seconds (0.1 to 3600, default 10), until the logger is closed or
    `stop()` of what this returns is called. Never raises; any thread. See `SystemMetrics` for the events.

    `log`: default the logger of the last `sluice.init()`, or one that this makes. A package that is missing is said
    once, to the logger's `on_diagnostic` or on stderr, and its part is left out.
    """
    logger = log if isinstance(log, Logger) else default_logger() or init()
    if not _is_interval(interval_s):
        allowed = f"a number from {SYSTEM_METRICS_INTERVAL_MIN_S:g} to {SYSTEM_METRICS_INTERVAL_MAX_S:g}"
        logger.report("option", f"interval_s is {interval_s!r}; ignored, it must be {allowed}")
        interval_s = SYSTEM_METRICS_INTERVAL_S
    reference = weakref.ref(logger)

    def report(text: str) -> None:
        told = reference()
        if told is not None:
            told.report("system", text)

    return SystemMetrics(logger, interval_s, report).start()


def _is_interval(interval_s: object) -> bool:
    if isinstance(interval_s, bool) or not isinstance(interval_s, (int, float)) or math.isnan(interval_s):
        return False
    return SYSTEM_METRICS_INTERVAL_MIN_S <= interval_s <= SYSTEM_METRICS_INTERVAL_MAX_S


def _machine(report: Callable[[str], None]) -> Callable[[], Iterator[Sample]] | None:
    try:
        import psutil
    except ImportError:
        report("system metrics need psutil: pip install 'sluice-sdk[system]'")
        return None
    return _Machine(psutil).sample


class _Machine:
    """Rates are since the sample before, the first since the start."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        self._process = psutil.Process()
        self._before = self._totals()
        self._before_s = time.monotonic()
        # Both measure since they were last asked.
        psutil.cpu_percent()
        self._process.cpu_percent()

    def sample(self) -> Iterator[Sample]:
        psutil = self._psutil
        fields: dict[str, Any] = {}
        fields["cpu_percent"] = psutil.cpu_percent()
        with contextlib.suppress(OSError):
            fields["load_1m"] = os.getloadavg()[0]
        fields.update(self._process_fields())
        memory = psutil.virtual_memory()
        fields["memory_used_bytes"] = memory.total - memory.available
        fields["memory_percent"] = memory.percent
        fields.update(_container_memory())
        fields.update(self._rates())
        with contextlib.suppress(OSError):
            fields["disk_percent"] = psutil.disk_usage(".").percent
        yield "system", fields

    def _process_fields(self) -> Iterator[tuple[str, float]]:
        process = self._process
        with process.oneshot():
            yield "process_cpu_percent", process.cpu_percent()
            yield "process_rss_bytes", process.memory_info().rss
            yield "process_threads", process.num_threads()
            with contextlib.suppress(self._psutil.Error, AttributeError):
                yield "process_open_files", process.num_fds()

    def _totals(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        # None where the machine has no disk, or no network, that can be read.
        with contextlib.suppress(OSError, RuntimeError):
            disk = self._psutil.disk_io_counters()
            if disk is not None:
                totals["disk_read_bytes_per_s"] = disk.read_bytes
                totals["disk_written_bytes_per_s"] = disk.write_bytes
        with contextlib.suppress(OSError, RuntimeError):
            network = self._psutil.net_io_counters()
            if network is not None:
                totals["network_sent_bytes_per_s"] = network.bytes_sent
                totals["network_received_bytes_per_s"] = network.bytes_recv
        return totals

    def _rates(self) -> dict[str, float]:
        now = self._totals()
        now_s = time.monotonic()
        before, self._before = self._before, now
        elapsed_s = now_s - self._before_s
        self._before_s = now_s
        if elapsed_s <= 0:
            return {}
        # A counter goes back when a device is taken away.
        return {
            name: max(0, total - before[name]) / elapsed_s for name, total in now.items() if name in before
        }


def _container_memory() -> Iterator[tuple[str, int]]:
    """Of the control group that the process sees as its root, which in a container is the container's (version 2)."""
    for name, path in (
        ("container_memory_used_bytes", "/sys/fs/cgroup/memory.current"),
        ("container_memory_limit_bytes", "/sys/fs/cgroup/memory.max"),
    ):
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            return
        # "max": there is no limit.
        if text.isdigit():
            yield name, int(text)


def _gpus() -> Callable[[], Iterator[Sample]] | None:
    """None where there is no pynvml, no driver, or no GPU: that is no mistake, so nothing is reported."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        # On this thread and in this process: what NVML has open does not survive a fork.
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None
    return _Gpus(pynvml, handles).sample if handles else None


class _Gpus:
    def __init__(self, pynvml: Any, handles: list[Any]) -> None:
        self._nvml = pynvml
        self._handles = handles

    def sample(self) -> Iterator[Sample]:
        for index, handle in enumerate(self._handles):
            fields: dict[str, Any] = {"gpu": index}
            for part in (self._use, self._memory, self._temperature, self._power, self._clock, self._name):
                # Not every GPU has a power meter, and a share of one (MIG) has no utilization.
                with contextlib.suppress(self._nvml.NVMLError):
                    fields.update(part(handle))
            yield "system.gpu", fields

    def _use(self, handle: Any) -> dict[str, Any]:
        return {"gpu_percent": self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu}

    def _memory(self, handle: Any) -> dict[str, Any]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "memory_used_bytes": memory.used,
            "memory_total_bytes": memory.total,
            "memory_percent": 100 * memory.used / memory.total if memory.total else 0.0,
        }

    def _temperature(self, handle: Any) -> dict[str, Any]:
        nvml = self._nvml
        return {"temperature_c": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}

    def _power(self, handle: Any) -> dict[str, Any]:
        # In milliwatts.
        return {"power_w": self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000}

    def _clock(self, handle: Any) -> dict[str, Any]:
        nvml = self._nvml
        return {"sm_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)}

    def _name(self, handle: Any) -> dict[str, Any]:
        name = self._nvml.nvmlDeviceGetName(handle)
        # Bytes until version 11.5 of pynvml.
        return {"gpu_name": name.decode(errors="replace") if isinstance(name, bytes) else name}
