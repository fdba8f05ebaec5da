"""What the delivery does while its process forks. Each program forks for real."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from .support.collector_process import CollectorProcess, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gRPC's threads can be seen on Linux only")

PARENT_AND_CHILDREN = """
import os, sys, threading, time, warnings
from tests.support.plain_delivery import PlainDelivery, PlainSettings
from sluice._generated import collector_pb2 as pb

# Of Python 3.12 and later, because of the thread that logs below.
warnings.simplefilter("ignore", DeprecationWarning)

def producer():
    id = os.getpid().to_bytes(16, "big")
    return pb.LogRequest(producer=pb.Producer(id=id, pid=os.getpid())).SerializeToString()

endpoint, forks = sys.argv[1], int(sys.argv[2])
settings = PlainSettings(request_age_ms=5, call_age_ms=30)
with PlainDelivery(endpoint, settings, producer=producer()) as job:
    stopping = threading.Event()
    def work():
        while not stopping.is_set():
            job.log(3)
            time.sleep(0.001)
    worker = threading.Thread(target=work)
    worker.start()
    failed = 0
    for fork in range(forks):
        # With a call open, with one that waits for its answer, with none.
        time.sleep(0.002 * (fork % 11))
        pid = os.fork()
        if pid == 0:
            with PlainDelivery(endpoint, settings, producer=producer()) as child:
                child.log(20)
                os._exit(0 if child.flush(20) and child.source.acknowledged == 20 else 3)
        failed += os.waitpid(pid, 0)[1] != 0
    stopping.set()
    worker.join()
    assert job.flush(20)
    assert job.source.acknowledged == job.source.logged
    print(failed, job.source.logged, job.deliverer.counts.last_error, job.reports)
"""


def test_parent_and_children_of_forks_at_any_moment_deliver_everything_once() -> None:
    with CollectorProcess() as collector:
        done = run_python(PARENT_AND_CHILDREN, collector.endpoint, "60")
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", "gRPC has nothing to say about the forks"
        failed, logged, *rest = done.stdout.split()
        assert (failed, rest) == ("0", ["None", "[]"])
        producers = collector.stop()["producers"].values()
        assert len(producers) == 61
        for producer in producers:
            steps = [event["step"] for event in producer["events"]]
            assert steps == list(range(1, len(steps) + 1))
        assert sorted(len(producer["events"]) for producer in producers) == [20] * 60 + [int(logged)]


FORK_BEFORE_THE_FIRST_EVENT = """
import os, sys
from tests.support.plain_delivery import PlainDelivery
pid = os.fork()
with PlainDelivery(sys.argv[1], producer=bytes([10, 18, 10, 16]) + os.getpid().to_bytes(16, "big")) as job:
    job.log(5)
    assert job.flush(20)
if pid:
    sys.exit(os.waitpid(pid, 0)[1] != 0)
"""


def test_a_fork_before_the_first_event_leaves_both_able_to_send() -> None:
    with CollectorProcess() as collector:
        done = run_python(FORK_BEFORE_THE_FIRST_EVENT, collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(collector.stop()["producers"]) == 2


FORKS_AND_NO_THREAD_BUT_THE_SDKS = """
import os, sys, warnings
from tests.support.plain_delivery import PlainDelivery, PlainSettings
from tests.support.plain_source import wait_until
warnings.simplefilter("error")
with PlainDelivery(sys.argv[1], PlainSettings(call_age_ms=60_000)) as job:
    for fork in range(10):
        job.log(5)
        wait_until(lambda: job.deliverer.counts.calls > fork)
        pid = os.fork()
        if pid == 0:
            os._exit(len(os.listdir("/proc/self/task")) - 1)
        assert os.waitpid(pid, 0)[1] == 0
    assert job.flush(20)
"""


def test_python_sees_no_threads_in_a_process_whose_only_threads_are_the_sdks() -> None:
    with CollectorProcess() as collector:
        done = run_python(FORKS_AND_NO_THREAD_BUT_THE_SDKS, collector.endpoint)
        assert (done.returncode, done.stderr) == (0, "")


FORK_ON_THE_DELIVERYS_OWN_THREAD = """
import os, sys
from tests.support.plain_delivery import PlainDelivery
with PlainDelivery(sys.argv[1]) as job:
    job.log(5)
    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        job.log(5)
    job.thread.post(fork)
    job.log(5)
    from tests.support.plain_source import wait_until
    wait_until(lambda: job.source.acknowledged == 15)
"""


def test_a_fork_in_a_callback_of_the_delivery_does_not_stop_it() -> None:
    with CollectorProcess() as collector:
        done = run_python(FORK_ON_THE_DELIVERYS_OWN_THREAD, collector.endpoint)
        assert done.returncode == 0, done.stderr
        (producer,) = collector.stop()["producers"].values()
        assert [event["step"] for event in producer["events"]] == list(range(1, 16))


WHILE_ANOTHER_PART_USES_GRPC = """
import os, sys
import grpc
from tests.support.plain_delivery import PlainDelivery
channel = grpc.insecure_channel(sys.argv[1])
grpc.channel_ready_future(channel).result(20)
with PlainDelivery(sys.argv[1]) as job:
    for fork in range(20):
        job.log(5)
        assert job.flush(20)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    job.log(5)
    assert job.flush(20)
"""


def test_a_channel_of_somebody_else_does_not_keep_forks_from_returning() -> None:
    with CollectorProcess() as collector:
        done = run_python(WHILE_ANOTHER_PART_USES_GRPC, collector.endpoint)
        assert done.returncode == 0, done.stderr
        (producer,) = collector.stop()["producers"].values()
        assert len(producer["events"]) == 105


CHILDREN_WHILE_ANOTHER_PART_USES_GRPC = """
import json, os, sys, threading, time
endpoint, forks, moment, handlers = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
if handlers == "off":
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
from tests.support.plain_delivery import PlainDelivery
from sluice._generated import collector_pb2 as pb

def producer(id):
    return pb.LogRequest(producer=pb.Producer(id=id.to_bytes(16, "big"))).SerializeToString()

once = grpc.insecure_channel(endpoint).unary_unary("/sluice.v1.EventCollector/LogOnce")
answered = threading.Event()
def work():
    number = 1
    while True:
        request = pb.LogRequest(first_sequence=number, events=[pb.Event()])
        try:
            once(producer(2**127) + request.SerializeToString())
        except grpc.RpcError:
            # What gRPC does in a child may cut the connection here.
            time.sleep(0.001)
            continue
        number += 1
        answered.set()
threading.Thread(target=work, daemon=True).start()
assert moment == "at any moment" or answered.wait(20)
children = {}
with PlainDelivery(endpoint, producer=producer(1)) as job:
    for fork in range(forks):
        job.log(5)
        time.sleep(0.003 * (fork % 7))
        pid = os.fork()
        if pid == 0:
            with PlainDelivery(endpoint, producer=producer(os.getpid())) as child:
                child.log(20)
                is_well = child.flush(20)
            os._exit(0 if is_well else 3)
        children[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    answered.clear()
    assert answered.wait(20), "it is still in use"
    assert job.flush(20)
print(json.dumps(children), flush=True)
os._exit(0)
"""


def fork_beside_grpc(moment: str, handlers: str) -> list[tuple[int, int]]:
    """The exit code of each of ten children, and how many events of it were stored."""
    with CollectorProcess() as collector:
        done = run_python(CHILDREN_WHILE_ANOTHER_PART_USES_GRPC, collector.endpoint, "10", moment, handlers)
        assert done.returncode == 0, done.stderr
        producers = collector.stop()["producers"]
    stored = {int(name, 16): len(producer["events"]) for name, producer in producers.items()}
    assert stored.pop(1) == 50
    assert stored.pop(2**127) > 0
    children = {int(pid): code for pid, code in json.loads(done.stdout).items()}
    assert set(stored) <= set(children)
    return [(code, stored.get(pid, 0)) for pid, code in children.items()]


def test_children_deliver_at_whatever_moment_of_grpcs_they_are_forked_if_its_own_handlers_are_off() -> None:
    # Even while another part connects.
    assert fork_beside_grpc("at any moment", handlers="off") == [(0, 20)] * 10


def test_children_deliver_though_another_part_of_the_process_uses_grpc_when_it_forks() -> None:
    """But for one that gRPC itself ends: its handlers of a fork start threads of its own in the child, which go on with
    what was under way, and may end it by a signal whatever the child does. While a connection was being made that was 4
    children of 150 in a program without the SDK, and more with other timing; so the other part is connected here, when
    it was 1 of 1,300 (measured with grpcio 1.85; docs/python.md)."""
    children = fork_beside_grpc("when it is connected", handlers="on")
    others = [child for child in children if child[0] not in (-signal.SIGSEGV, -signal.SIGABRT)]
    assert others == [(0, 20)] * len(others)
    assert len(others) >= 9


EXITS = {
    "with sys.exit": "sys.exit(7)",
    "at the end of the program": "raise SystemExit(7)",
    "with os._exit": "os._exit(7)",
    "on an exception": "import atexit; atexit.register(os._exit, 7); raise ValueError('as meant')",
}


@pytest.mark.parametrize("way", EXITS)
def test_a_program_ends_by_itself_with_a_call_open(way: str) -> None:
    code = f"""
import os, sys
from tests.support.plain_delivery import PlainDelivery, PlainSettings
from tests.support.plain_source import wait_until
settings = PlainSettings(call_age_ms=60_000)
job = PlainDelivery(sys.argv[1], settings)
job.log(25)
wait_until(lambda: job.deliverer.counts.calls == 1)
{EXITS[way]}
"""
    with CollectorProcess() as collector:
        for _ in range(5):
            done = run_python(code, collector.endpoint)
            assert done.returncode == 7, done.stderr
            assert way == "on an exception" or done.stderr == ""


SUBPROCESSES = """
import subprocess, sys, threading, time
from tests.support.plain_delivery import PlainDelivery, PlainSettings
with PlainDelivery(sys.argv[1], PlainSettings(request_age_ms=5, call_age_ms=30)) as job:
    stopping = threading.Event()
    def work():
        while not stopping.is_set():
            job.log(3)
            time.sleep(0.001)
    worker = threading.Thread(target=work)
    worker.start()
    codes = {subprocess.run([sys.executable, "-S", "-c", ""]).returncode for _ in range(40)}
    codes.add(subprocess.run([sys.executable, "-S", "-c", ""], preexec_fn=lambda: None).returncode)
    stopping.set()
    worker.join()
    assert job.flush(20)
    assert codes == {0}, codes
"""


def test_subprocesses_start_while_a_call_is_open() -> None:
    with CollectorProcess() as collector:
        done = run_python(SUBPROCESSES, collector.endpoint)
        assert done.returncode == 0, done.stderr
        assert "fork_posix" not in done.stderr
