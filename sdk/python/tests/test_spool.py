"""What a logger with a spool directory does, with real files and a collector that comes and goes."""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sluice.delivery.delivery
import sluice.spool.logger_spool
import sluice.spool.spooled_buffer
import sluice.spool.spooled_deliverer
import sluice.spool.take_over
import sluice.spool.writer
from sluice.spool.format import folder_name, parse_folder_name
from sluice.spool.owner import parse_owner, this_process
from sluice.spool.sync import SyncedProducer, sync_spool

from .support.collector_model import CollectorModel
from .support.collector_process import run_python
from .support.fake_collector import FakeCollector
from .support.plain_source import wait_until
from .support.spool_job import KIB, NOWHERE, FaultyDisk, SpoolJob, fates, files_in


@pytest.fixture
def server() -> Iterator[FakeCollector]:
    with FakeCollector() as server:
        yield server


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyDisk]:
    disk = FaultyDisk(monkeypatch)
    yield disk
    disk.hanging.set()


@pytest.fixture
def is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again after seconds is tried again after a moment."""
    monkeypatch.setattr(sluice.spool.writer, "SPOOL_RETRY_MS", 50)
    monkeypatch.setattr(sluice.spool.writer, "SPOOL_CLOSE_RETRY_MS", 10)
    monkeypatch.setattr(sluice.spool.spooled_buffer, "SPOOL_RETRY_MS", 50)
    monkeypatch.setattr(sluice.spool.spooled_deliverer, "SPOOL_CLOSE_MS", 1500)
    # In which what is lost is written, whoever else uses the machine.
    monkeypatch.setattr(sluice.spool.spooled_deliverer, "SPOOL_CLOSE_RESERVE_MS", 500)
    monkeypatch.setattr(sluice.spool.logger_spool, "SPOOL_CLOSE_MS", 1500)
    monkeypatch.setattr(sluice.spool.take_over, "TAKE_OVER_FIRST_MS", 10)
    monkeypatch.setattr(sluice.spool.take_over, "TAKE_OVER_EVERY_MS", 50)


def sync(folder: Path, server: FakeCollector, timeout_ms: int = 30_000) -> list[SyncedProducer]:
    return sync_spool(
        folder, endpoint=server.endpoint, timeout_ms=timeout_ms, on_diagnostic=lambda diagnostic: None
    ).producers


def leave(folder: Path, count: int) -> str:
    """A job whose collector was away leaves so many events; its producer."""
    job = SpoolJob(folder, close_timeout_ms=0)
    job.log(1, count)
    result = job.logger.close()
    assert (result.acknowledged, result.spooled) == (False, count)
    return job.id


def spooled(job: SpoolJob) -> int:
    return job.logger.stats().spooled_events


# Beside a collector that answers.


def test_with_a_collector_that_answers_the_spool_is_empty_whenever_nothing_is_under_way(
    tmp_path: Path, server: FakeCollector
) -> None:
    job = SpoolJob(tmp_path, server.endpoint)
    for round in range(5):
        job.log(round * 10 + 1, round * 10 + 10)
        assert job.flush()
        wait_until(lambda: files_in(tmp_path) == [])
        assert job.logger.stats().spooled_events == 0
        wait_until(lambda: job.logger.stats().spooled_bytes == 0)
    result = job.logger.close()
    assert (result.acknowledged, result.pending, result.spooled) == (True, 0, 0)
    assert fates(server, job.id) == list(range(1, 51))
    assert list(tmp_path.iterdir()) == []


def test_an_outage_larger_than_the_buffer_drops_nothing_and_everything_arrives_in_order(
    tmp_path: Path, server: FakeCollector
) -> None:
    port = server.port
    server.stop()
    job = SpoolJob(tmp_path, server.endpoint, buffer_bytes=64 * KIB)
    for step in range(1, 3001, 30):
        job.log(step, step + 29)
        wait_until(lambda step=step: spooled(job) == step + 29)
    stats = job.logger.stats()
    assert stats.dropped["buffer_full"] == 0
    assert stats.buffered_bytes <= 40 * KIB, "though all is on the disk"
    assert stats.spooled_bytes > 3000 * 1000
    with FakeCollector(port=port) as back:
        assert job.flush(60)
        assert fates(back, job.id) == list(range(1, 3001))
        assert job.logger.stats().acknowledged == 3000
        job.logger.close()
        assert list(tmp_path.iterdir()) == []


def test_a_spool_at_its_limit_goes_on_in_memory_and_then_drops_counts_and_reports(
    tmp_path: Path, server: FakeCollector
) -> None:
    port = server.port
    server.stop()
    job = SpoolJob(tmp_path, server.endpoint, buffer_bytes=64 * KIB, spool_bytes=1024 * KIB)
    for step in range(1, 3001, 10):
        job.log(step, step + 9)
        wait_until(lambda step=step: spooled(job) >= min(step + 9, 950))
    stats = job.logger.stats()
    assert 900 * KIB < stats.spooled_bytes <= 1024 * KIB
    wait_until(lambda: job.logger.stats().dropped["buffer_full"] > 1800)
    stats = job.logger.stats()
    assert stats.buffered_events > stats.spooled_events, "memory is used as well"
    with FakeCollector(port=port) as back:
        assert job.flush(60)
        stats = job.logger.stats()
        assert fates(back, job.id).count("LOSS_REASON_BUFFER_FULL") == stats.dropped["buffer_full"]
        assert len(fates(back, job.id)) == 3000
        assert any(line.startswith("buffer_full") for line in job.diagnostics)
        job.logger.close()


def test_what_a_full_spool_cannot_hold_at_the_close_is_recorded_in_it_as_lost(
    tmp_path: Path, server: FakeCollector, is_impatient: None
) -> None:
    job = SpoolJob(tmp_path, buffer_bytes=128 * KIB, spool_bytes=1024 * KIB)
    for step in range(1, 1061, 10):
        job.log(step, step + 9)
        wait_until(lambda step=step: spooled(job) >= min(step + 9, 1010))
    closed = job.logger.close(timeout=0.1)
    stats = job.logger.stats()
    assert stats.dropped["closed"] > 0
    assert closed.spooled == stats.spooled_events == stats.buffered_events
    assert any(line.startswith(f"undelivered: {stats.dropped['closed']} events") for line in job.diagnostics)
    (producer,) = sync(tmp_path, server)
    assert producer.state == "delivered"
    arrived = fates(server, job.id)
    assert len(arrived) == 1060
    assert arrived.count("LOSS_REASON_CLOSED") == stats.dropped["closed"]
    assert arrived.count("LOSS_REASON_BUFFER_FULL") == stats.dropped["buffer_full"]


def test_offline_nothing_is_sent_and_flush_returns_when_all_is_on_the_disk(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk
) -> None:
    job = SpoolJob(tmp_path, server.endpoint, mode="offline")
    job.log(1, 500)
    result = job.logger.flush()
    assert (result.acknowledged, result.pending, result.spooled) == (False, 500, 500)
    assert "sync" in disk.operations, "and survives a power loss"
    assert job.logger.stats().buffered_bytes == 0
    job.log(501, 600)
    result = job.logger.close()
    assert (result.acknowledged, result.pending, result.spooled) == (False, 600, 600)
    assert server.model.calls == 0
    assert re.fullmatch(
        rf"spooled: 600 events of run job .* sluice-sync {tmp_path}", "".join(job.diagnostics)
    )
    sync(tmp_path, server)
    assert fates(server, job.id) == list(range(1, 601))


# A disk that fails.


def test_a_directory_that_cannot_be_written_is_reported_once_and_logging_goes_on_without_it(
    tmp_path: Path, server: FakeCollector, is_impatient: None
) -> None:
    (tmp_path / "file").write_text("")
    job = SpoolJob(tmp_path / "file" / "spool", server.endpoint)
    for step in range(1, 101):
        job.log(step, step)
        assert step % 25 != 0 or job.flush()
    assert job.logger.close().acknowledged
    assert fates(server, job.id) == list(range(1, 101))
    (line,) = job.diagnostics
    assert re.match(r"spool: the spool directory \S+ \(spool_dir\) cannot be (written|read): ", line)


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_memory(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, is_impatient: None
) -> None:
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    wait_until(lambda: spooled(job) == 100)
    disk.fail("write")
    job.log(101, 200)
    wait_until(lambda: any(line.startswith("spool: ") for line in job.diagnostics))
    assert job.logger.stats().buffered_events == 200
    assert spooled(job) == 100
    disk.fail()
    wait_until(lambda: spooled(job) == 200)
    job.logger.close(timeout=0)
    sync(tmp_path, server)
    assert fates(server, job.id) == list(range(1, 201))


def test_a_disk_that_hangs_keeps_no_event_from_the_collector_and_no_close_from_returning(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, is_impatient: None
) -> None:
    disk.hanging.clear()
    job = SpoolJob(tmp_path, server.endpoint)
    job.log(1, 100)
    assert job.flush()
    assert fates(server, job.id) == list(range(1, 101))
    server.stop()
    job.log(101, 110)
    result = job.logger.flush(timeout=0.2)
    assert (result.acknowledged, result.pending, result.spooled) == (False, 10, 0)
    result = job.logger.close(timeout=0.1)
    assert (result.acknowledged, result.pending, result.spooled) == (False, 10, 0)
    assert job.logger.stats().dropped["closed"] == 10


def test_close_tries_a_disk_that_failed_before_again_and_again_for_as_long_as_it_has_time(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.fail("make_folder", code=errno.EACCES)
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    wait_until(lambda: any(line.startswith("spool: ") for line in job.diagnostics))
    threading.Timer(0.5, disk.fail).start()
    result = job.logger.close(timeout=0.1)
    assert (result.acknowledged, result.pending, result.spooled) == (False, 100, 100)
    sync(tmp_path, server)
    assert fates(server, job.id) == list(range(1, 101))


def test_a_disk_with_little_room_left_at_the_close_holds_at_least_what_is_lost(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, is_impatient: None
) -> None:
    def fault(operation: str, arguments: tuple[object, ...]) -> OSError | None:
        buffers = arguments[1] if operation == "write" else ()
        assert isinstance(buffers, (list, tuple))
        return OSError(errno.ENOSPC, "full") if sum(map(len, buffers)) > 4 * KIB else None

    disk.fault = fault
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    result = job.logger.close(timeout=0.1)
    stats = job.logger.stats()
    assert (stats.dropped["closed"], stats.spooled_events, stats.buffered_events) == (100, 0, 0)
    assert result.spooled == 0
    disk.fail()
    sync(tmp_path, server)
    assert fates(server, job.id) == ["LOSS_REASON_CLOSED"] * 100


def test_a_disk_that_fails_until_the_end_of_close_leaves_a_diagnostic_and_counters(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, is_impatient: None
) -> None:
    disk.fail("write", code=errno.EIO)
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    result = job.logger.close(timeout=0.1)
    assert (result.acknowledged, result.pending, result.spooled) == (False, 100, 0)
    stats = job.logger.stats()
    assert (stats.dropped["closed"], stats.buffered_events) == (100, 0)
    assert any(line.startswith("undelivered: 100 events") for line in job.diagnostics)
    assert disk.operations.count("write") > 3
    disk.fail()
    sync(tmp_path, server)
    assert fates(server, job.id) == []


@pytest.mark.parametrize("failing", ["create", "write"])
def test_after_a_failure_the_first_file_is_number_1_and_damage_in_its_front_a_loss_from_1_on(
    failing: str, tmp_path: Path, server: FakeCollector, disk: FaultyDisk, is_impatient: None
) -> None:
    disk.fail(failing)
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    wait_until(lambda: disk.operations.count(failing) > 2)
    disk.fail()
    wait_until(lambda: spooled(job) == 100)
    job.logger.close(timeout=0)
    (name,) = files_in(tmp_path)
    assert name.endswith("/00000001.spool")
    # In the middle of the first request.
    flip(tmp_path / name, 4 * KIB)
    sync(tmp_path, server)
    arrived = fates(server, job.id)
    lost = arrived.count("LOSS_REASON_SPOOL_DAMAGED")
    assert 0 < lost < 12
    assert arrived == ["LOSS_REASON_SPOOL_DAMAGED"] * lost + list(range(lost + 1, 101))


def test_a_file_that_is_there_already_is_passed_over_by_the_next_number(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    def fault(operation: str, arguments: tuple[object, ...]) -> OSError | None:
        is_first = operation == "create" and str(arguments[0]).endswith("/00000001.spool")
        return FileExistsError(errno.EEXIST, "there") if is_first else None

    disk.fault = fault
    job = SpoolJob(tmp_path)
    job.log(1, 100)
    wait_until(lambda: spooled(job) == 100)
    job.logger.close(timeout=0)
    assert files_in(tmp_path)[0].endswith("/00000002.spool")


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


# What is damaged, torn or missing.


def test_a_damaged_frame_costs_its_own_events_which_are_recorded_as_lost_and_the_file_is_kept_aside(
    tmp_path: Path, server: FakeCollector
) -> None:
    producer_id = leave(tmp_path, 100)
    (name,) = files_in(tmp_path)
    flip(tmp_path / name, (tmp_path / name).stat().st_size // 2)
    (producer,) = sync(tmp_path, server)
    arrived = fates(server, producer_id)
    assert len(arrived) == 100
    lost = [number for number, fate in enumerate(arrived, 1) if fate == "LOSS_REASON_SPOOL_DAMAGED"]
    assert 0 < len(lost) < 12
    assert [fate for fate in arrived if isinstance(fate, int)] == [n for n in range(1, 101) if n not in lost]
    assert (producer.state, producer.lost, producer.events) == ("damaged", len(lost), 100 - len(lost))
    assert "00000001.spool" in producer.detail
    folder = name.split("/")[0]
    assert files_in(tmp_path) == [f"{folder}.damaged/00000001.spool.damaged"]
    calls = server.model.calls
    assert sync(tmp_path, server) == [], "it is not tried again"
    assert server.model.calls == calls


def test_a_missing_segment_between_two_is_recorded_as_lost(tmp_path: Path, server: FakeCollector) -> None:
    job = SpoolJob(tmp_path, buffer_bytes=64 * KIB)
    for step in range(1, 901, 30):
        job.log(step, step + 29)
        wait_until(lambda step=step: spooled(job) == step + 29)
    job.logger.close(timeout=0)
    names = files_in(tmp_path)
    assert len(names) >= 3
    (tmp_path / names[1]).unlink()
    (producer,) = sync(tmp_path, server)
    arrived = fates(server, job.id)
    assert len(arrived) == 900
    assert 200 < arrived.count("LOSS_REASON_SPOOL_DAMAGED") == producer.lost < 300
    assert list(tmp_path.iterdir()) == []


def test_wherever_the_last_write_was_cut_what_was_written_before_arrives(tmp_path: Path) -> None:
    first = tmp_path / "first"
    producer_id = leave(first, 16)
    (name,) = files_in(first)
    data = (first / name).read_bytes()
    folder = tmp_path / "cut"
    for size in range(0, len(data), 1499):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(data[:size])
        with FakeCollector() as server:
            (producer,) = sync(folder, server)
            assert producer.state == "delivered"
            arrived = fates(server, producer_id)
            assert arrived == list(range(1, len(arrived) + 1))
            assert list(folder.iterdir()) == [], f"cut at {size}"


def test_a_damaged_frame_of_ones_own_that_has_to_be_read_back_is_counted_and_recorded_as_lost(
    tmp_path: Path, server: FakeCollector
) -> None:
    port = server.port
    server.stop()
    job = SpoolJob(tmp_path, server.endpoint, buffer_bytes=64 * KIB)
    for step in range(1, 601, 30):
        job.log(step, step + 29)
        wait_until(lambda step=step: spooled(job) == step + 29)
    second = tmp_path / files_in(tmp_path)[1]
    flip(second, second.stat().st_size // 2)
    with FakeCollector(port=port) as back:
        assert job.flush(60)
        stats = job.logger.stats()
        assert 0 < stats.dropped["spool_damaged"] < 12
        assert stats.logged == stats.acknowledged + stats.dropped["spool_damaged"]
        assert fates(back, job.id).count("LOSS_REASON_SPOOL_DAMAGED") == stats.dropped["spool_damaged"]
        job.logger.close()


def test_what_was_acknowledged_before_is_not_sent_again_though_it_shares_a_file_with_what_was_not(
    tmp_path: Path, server: FakeCollector
) -> None:
    job = SpoolJob(tmp_path, server.endpoint, call_age_ms=0)
    job.log(1, 50)
    assert job.flush()
    port = server.port
    job.log(51, 60)
    assert job.flush()
    server.stop()
    job.log(61, 65)
    job.logger.close(timeout=0.1)
    assert len(files_in(tmp_path)) == 1
    # A collector that has forgotten the producer would store a second time what is sent a second time.
    with FakeCollector(port=port) as forgetful:
        (producer,) = sync(tmp_path, forgetful)
        assert (producer.state, producer.delivered) == ("delivered", 5)
        stored = forgetful.model.producers[job.id]
        assert [event.step for event in stored.events] == [61, 62, 63, 64, 65]
        assert stored.losses == {}


def test_a_collector_that_has_a_part_of_an_orphan_already_gets_the_rest_only(
    tmp_path: Path, server: FakeCollector
) -> None:
    producer_id = leave(tmp_path, 50)
    (name,) = files_in(tmp_path)
    data = (tmp_path / name).read_bytes()
    sync(tmp_path, server)
    whole = server.model.producers[producer_id]
    # As if the job had delivered these itself, and one request only in part.
    part = CollectorModel()
    with FakeCollector(part) as second:
        part.producers[producer_id] = type(whole)(
            whole.producer, 24, {n: whole.fates[n] for n in range(1, 25)}
        )
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
        (producer,) = sync(tmp_path, second)
        assert producer.state == "delivered"
        arrived = fates(second, producer_id)
        assert len(arrived) == 50
        assert arrived[:24] == list(range(1, 25))
        assert set(arrived[24:]) - {"LOSS_REASON_REFUSED"} <= set(range(25, 51))


# Who takes what.

#: As the console script, and as `python -m sluice`.
SYNC = "import sluice.cli, sys; sys.exit(sluice.cli.main())"
MODULE = "import runpy; runpy.run_module('sluice', run_name='__main__', alter_sys=True)"

JOB = """
import os, sys, time, sluice
log = sluice.init(run="job", endpoint=sys.argv[1], spool_dir=sys.argv[2], request_age_ms=20)
for step in range(1, int(sys.argv[3]) + 1):
    log.event("e", step=step, text=f"{step} ".ljust(100, "x"))
while log.stats().spooled_events < int(sys.argv[3]):
    time.sleep(0.01)
print(log.producer_id.replace("-", ""), flush=True)
"""


def kill(folder: Path, count: int) -> str:
    """A job that is killed after it spooled so many events; its producer."""
    done = run_python(f"{JOB}\nos.kill(os.getpid(), 9)", NOWHERE, str(folder), str(count))
    assert done.returncode == -9, done.stderr
    return done.stdout.strip()


def test_what_a_killed_job_left_is_delivered_by_the_next_logger_with_that_directory(
    tmp_path: Path, server: FakeCollector, is_impatient: None
) -> None:
    producer_id = kill(tmp_path, 100)
    job = SpoolJob(tmp_path, server.endpoint)
    wait_until(lambda: list(tmp_path.iterdir()) == [])
    assert fates(server, producer_id) == list(range(1, 101))
    assert server.model.marks == [], "nobody waits for it"
    job.log(1, 3)
    assert job.logger.close().acknowledged
    assert fates(server, job.id) == [1, 2, 3]


def test_what_a_killed_job_left_is_delivered_by_sync_and_a_second_one_finds_nothing(
    tmp_path: Path, server: FakeCollector
) -> None:
    producer_id = kill(tmp_path, 100)
    done = run_python(SYNC, str(tmp_path), SLUICE_ENDPOINT=server.endpoint)
    assert done.returncode == 0, done.stderr
    assert re.search(r"job +0 +100 +100 +0 +delivered", done.stdout)
    assert fates(server, producer_id) == list(range(1, 101))
    done = run_python(MODULE, "sync", str(tmp_path), "--endpoint", server.endpoint)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path} holds nothing to deliver.\n")


def test_an_empty_folder_is_nobodys_and_it_is_said_that_it_held_nothing(tmp_path: Path) -> None:
    folder = tmp_path / folder_name(bytes(range(16)))
    folder.mkdir()
    done = run_python(SYNC, str(tmp_path), "--endpoint", NOWHERE)
    assert done.returncode == 0, done.stderr
    assert "default" not in done.stdout
    assert f"nothing to send: {folder} held no event" in done.stdout
    assert not folder.exists()


def test_the_spool_of_a_process_that_lives_is_not_taken(tmp_path: Path, server: FakeCollector) -> None:
    job = SpoolJob(tmp_path)
    job.log(1, 10)
    wait_until(lambda: spooled(job) == 10)
    result = sync_spool(tmp_path, endpoint=server.endpoint, other_hosts=True)
    assert ([producer.state for producer in result.producers], result.is_complete) == (["in use"], True)
    assert server.model.calls == 0
    job.logger.close(timeout=0)
    assert [producer.state for producer in sync(tmp_path, server)] == ["delivered"]
    assert fates(server, job.id) == list(range(1, 11))


def test_the_spool_of_another_host_is_taken_only_if_that_is_asked_for(
    tmp_path: Path, server: FakeCollector
) -> None:
    producer_id = leave(tmp_path, 10)
    (folder,) = tmp_path.iterdir()
    elsewhere = str(this_process()._replace(host="node-17"))
    folder.rename(tmp_path / folder_name(bytes.fromhex(producer_id), elsewhere))
    first = sync_spool(tmp_path, endpoint=server.endpoint)
    assert not first.is_complete
    assert [(producer.state, producer.host) for producer in first.producers] == [("other host", "node-17")]
    second = sync_spool(tmp_path, endpoint=server.endpoint, other_hosts=True)
    assert second.is_complete
    assert [producer.state for producer in second.producers] == ["delivered"]
    assert fates(server, producer_id) == list(range(1, 11))


def test_a_sync_without_a_collector_gives_up_in_time_and_leaves_everything_for_the_next_one(
    tmp_path: Path, server: FakeCollector
) -> None:
    producer_id = leave(tmp_path, 100)
    done = run_python(SYNC, str(tmp_path), "--endpoint", NOWHERE, "--timeout", "2", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["state"], told["events"], told["delivered"], told["run"]) == ("left", 100, 0, "job")
    assert "UNAVAILABLE" in told["detail"]
    assert "Start a collector" in done.stderr
    assert "@" not in next(tmp_path.iterdir()).name, "it is given back"
    sync(tmp_path, server)
    assert fates(server, producer_id) == list(range(1, 101))


def test_many_that_sync_at_once_deliver_everything_once(tmp_path: Path, server: FakeCollector) -> None:
    ids = [leave(tmp_path, 20) for _ in range(5)]
    states: list[str] = []

    def work() -> None:
        states.extend(producer.state for producer in sync(tmp_path, server))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states.count("delivered") == 5
    assert set(states) <= {"delivered", "taken", "in use"}
    for producer_id in ids:
        assert fates(server, producer_id) == list(range(1, 21))


def test_wrong_commands_say_what_is_wrong(tmp_path: Path) -> None:
    missing = run_python(SYNC, str(tmp_path / "none"))
    assert (missing.returncode, "there is no directory" in missing.stderr) == (6, True)
    endpoint = run_python(SYNC, str(tmp_path), "--endpoint", "http://x/y")
    assert (endpoint.returncode, "--endpoint" in endpoint.stderr) == (2, True)
    unknown = run_python(MODULE, "snyc")
    assert (unknown.returncode, "usage" in unknown.stderr) == (2, True)


CHILD = """
import os, sys, time, sluice
log = sluice.init(run="job", endpoint=sys.argv[1], spool_dir=sys.argv[2], request_age_ms=20)
def fill(count):
    for step in range(1, count + 1):
        log.event("e", step=step)
    while log.stats().spooled_events < count:
        time.sleep(0.01)
fill(30)
pid = os.fork()
if pid == 0:
    fill(20)
    os.kill(os.getpid(), 9)
os.waitpid(pid, 0)
assert log.stats().spooled_events == 30
os.kill(os.getpid(), 9)
"""


def test_a_child_spools_into_a_folder_of_its_own(tmp_path: Path, server: FakeCollector) -> None:
    done = run_python(CHILD, NOWHERE, str(tmp_path))
    assert done.returncode == -9, done.stderr
    owners = [
        parse_owner((parse_folder_name(path.name) or (b"", ""))[1] or "") for path in tmp_path.iterdir()
    ]
    assert len({owner.pid for owner in owners if owner is not None}) == 2
    assert [producer.events for producer in sync(tmp_path, server)] == [30, 20]
    assert sorted(len(stored.events) for stored in server.model.producers.values()) == [20, 30]


def test_an_idle_job_that_takes_over_uses_no_connection_afterwards(
    tmp_path: Path, server: FakeCollector, is_impatient: None
) -> None:
    leave(tmp_path, 10)
    job = SpoolJob(tmp_path, server.endpoint)
    wait_until(lambda: list(tmp_path.iterdir()) == [])
    calls = server.model.calls
    time.sleep(0.3)
    assert server.model.calls == calls
    job.logger.close()
    assert not os.listdir(tmp_path)


def test_an_event_after_a_pause_is_sent_though_the_disk_takes_nothing(
    tmp_path: Path, server: FakeCollector, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sluice.spool.spooled_deliverer, "IDLE_LOOK_MS", 0)
    monkeypatch.setattr(sluice.delivery.delivery, "IDLE_LOOK_MS", 0)
    disk.fail("make_folder")
    job = SpoolJob(tmp_path, server.endpoint)
    for step in range(1, 4):
        job.log(step, step)
        wait_until(lambda step=step: job.logger.stats().acknowledged == step)
    job.logger.close()
