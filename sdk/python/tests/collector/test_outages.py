"""A collector that is not there, hangs, dies and comes back, and a job that dies meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.collector.conftest import Run
from tests.support.processes import Collector, Store, run_command, sluice_command, until

#: Logs so many events, and tells when they are safe: acknowledged or in the spool's file.
SPOOLING = """
import time
for step in range(1, {count} + 1): log.event("step", step=step, loss=1 / step)
while log.stats().spooled_events + log.stats().acknowledged < {count}: time.sleep(0.005)
print("safe", flush=True)
time.sleep(60)
"""


def ready(job: subprocess.Popen[str]) -> None:
    assert job.stdout is not None
    line = job.stdout.readline()
    assert line, job.communicate()


def test_events_that_were_logged_before_there_was_a_collector_are_delivered(
    store: Store, own_collector: Collector
) -> None:
    address = own_collector.start().endpoint
    own_collector.stop()
    run = Run(store, address)
    job = run.job(
        """
import time
for step in range(5000): log.event("step", step=step)
print("logged", flush=True)
assert log.flush(timeout=60).acknowledged
"""
    )
    ready(job)
    own_collector.start()
    finished = run.finish(job)
    assert finished.code == 0, finished
    run.stored(5000)


def test_a_collector_that_is_killed_again_and_again_costs_no_event(
    own_run: Run, own_collector: Collector
) -> None:
    job = own_run.job(
        """
import time
logged = 0
print("logging", flush=True)
until = time.monotonic() + 3
while time.monotonic() < until:
    for _ in range(20):
        logged += 1
        log.event("step", step=logged)
    time.sleep(0.002)
assert log.flush(timeout=60).acknowledged
print(logged, log.stats().resends)
"""
    )
    ready(job)
    for _ in range(3):
        until(lambda: own_run.counted().events, lambda events: events > 0)
        own_collector.kill()
        own_collector.start()
    finished = own_run.finish(job)
    assert finished.code == 0, finished
    own_run.stored(int(finished.out.split()[0]))


def test_a_collector_that_hangs_holds_nobody_up_and_gets_everything_afterwards(
    own_run: Run, own_collector: Collector
) -> None:
    job = own_run.job(
        """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
log.event("first")
assert log.flush(timeout=30).acknowledged
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
for step in range(50_000): log.event("hung", step=step)
print(log.flush(timeout=0.5).acknowledged, log.stats().acknowledged, flush=True)
signal.sigwait([signal.SIGUSR1])
assert log.flush(timeout=60).acknowledged
"""
    )
    ready(job)
    own_collector.node.pause()
    job.send_signal(signal.SIGUSR1)
    assert job.stdout is not None
    assert job.stdout.readline() == "False 1\n"
    own_collector.node.resume()
    job.send_signal(signal.SIGUSR1)
    finished = own_run.finish(job)
    assert finished.code == 0, finished
    own_run.stored(50_001)


def test_a_job_without_a_collector_ends_in_time_and_says_what_was_left(store: Store) -> None:
    run = Run(store, "127.0.0.1:9")
    job = run.job(
        "log = sluice.init(exit_timeout_ms=300)\nfor step in range(100): log.event('step', step=step)"
    )
    finished = run.finish(job)
    assert finished.code == 0
    assert "100 events of run" in finished.err
    assert "were not acknowledged" in finished.err


def test_a_killed_job_s_events_are_delivered_by_the_next_job_with_that_directory(
    run: Run, tmp_path: Path
) -> None:
    spool = {"SLUICE_SPOOL_DIR": str(tmp_path / "spool")}
    killed = run.job(SPOOLING.format(count=3000), {**spool, "SLUICE_ENDPOINT": "127.0.0.1:9"})
    ready(killed)
    killed.send_signal(signal.SIGKILL)
    run.finish(killed)
    assert run.counted().events == 0
    following = run.job(
        "import time\nlog.event('next')\nlog.flush(timeout=30)\nprint('ready', flush=True)\ntime.sleep(60)",
        spool,
    )
    ready(following)
    counted = run.stored(3001)
    assert counted.producers == 2
    following.terminate()
    run.finish(following)
    until(lambda: list((tmp_path / "spool").iterdir()), lambda left: left == [])


def test_both_sync_commands_deliver_what_killed_and_offline_jobs_left(run: Run, tmp_path: Path) -> None:
    """The spools are written in Python; one is read by the command in Python, the other by the collector's."""
    endpoint = run.environment["SLUICE_ENDPOINT"]

    def with_python(folder: str) -> subprocess.CompletedProcess[str]:
        return run_command([sys.executable, "-m", "sluice", "sync", folder], {"SLUICE_ENDPOINT": endpoint})

    def with_the_collector(folder: str) -> subprocess.CompletedProcess[str]:
        return sluice_command("sync", folder, "--endpoint", endpoint)

    for number, command in enumerate((with_python, with_the_collector)):
        spool = tmp_path / f"spool-{number}"
        before = run.counted().events
        killed = run.job(
            SPOOLING.format(count=500), {"SLUICE_SPOOL_DIR": str(spool), "SLUICE_ENDPOINT": "127.0.0.1:9"}
        )
        ready(killed)
        killed.kill()
        run.finish(killed)
        offline = {"SLUICE_SPOOL_DIR": str(spool), "SLUICE_MODE": "offline"}
        run.do("for step in range(300): log.event('offline', step=step)\nlog.close()", offline)
        synced = command(str(spool))
        assert synced.returncode == 0, synced
        run.stored(before + 800)
        assert list(spool.iterdir()) == []


def test_a_job_that_is_killed_loses_at_most_its_last_flush_interval(run: Run, tmp_path: Path) -> None:
    spool = {"SLUICE_SPOOL_DIR": str(tmp_path / "spool"), "SLUICE_ENDPOINT": "127.0.0.1:9"}
    job = run.job(
        """
import time
step = 0
while True:
    step += 1
    log.event("step", step=step)
    if step % 100 == 0: print(step, time.monotonic(), flush=True)
    time.sleep(0.0005)
""",
        spool,
    )
    assert job.stdout is not None
    lines = [job.stdout.readline().split() for _ in range(30)]
    job.kill()
    job.stdout.close()
    job.wait()
    synced = run_command(
        [sys.executable, "-m", "sluice", "sync", spool["SLUICE_SPOOL_DIR"]],
        {"SLUICE_ENDPOINT": run.environment["SLUICE_ENDPOINT"]},
    )
    assert synced.returncode == 0, synced
    # What was logged a second before the end is there; the promise is 200 ms on a machine that does nothing else.
    last_s = float(lines[-1][1])
    safe = max(int(step) for step, when in lines if float(when) < last_s - 1)
    until(lambda: run.counted().events, lambda events: events >= safe)
    counted = run.counted()
    assert (counted.distinct, counted.gaps) == (counted.events, 0)
