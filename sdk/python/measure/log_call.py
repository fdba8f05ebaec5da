"""What a log call costs its caller, and how many events a second one process delivers.

    python measure/log_call.py [--endpoint HOST:PORT] [--calls N] [--events N]

Each call is timed with `time.perf_counter_ns`, whose own cost (about 0.05 µs, printed) is not taken off. A call has
a step and four or five numbers. The states:

- idle:  a call every millisecond, with work in between: the sender sleeps, and is woken now and then;
- up:    calls one after another, faster than they are sent, into a collector that answers;
- hung:  the same with a collector that accepts the connection and says no word;
- down:  the same with nobody at the address;
- full:  as down, with a buffer that is full all the time.

`up` is the collector given, or else a process that reads requests and acknowledges them. Figures are of one run on one
machine; percentiles of a busy machine say more about its scheduler than about the SDK.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from concurrent import futures

import sluice

SINK = "--serve"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", help="a collector that runs; default: a process that only acknowledges")
    parser.add_argument("--calls", type=int, default=200_000, help="calls that are timed in each state")
    parser.add_argument(
        "--events", type=int, default=1_500_000, help="events of the measurement of throughput"
    )
    options = parser.parse_args()
    sink = None
    endpoint = options.endpoint
    if endpoint is None:
        sink = subprocess.Popen(
            [sys.executable, __file__, SINK], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        assert sink.stdout is not None
        endpoint = f"127.0.0.1:{sink.stdout.readline().strip()}"
    hung = socket.create_server(("127.0.0.1", 0))
    nobody = socket.create_server(("127.0.0.1", 0))
    down = f"127.0.0.1:{nobody.getsockname()[1]}"
    nobody.close()
    try:
        print(f"Python {sys.version.split()[0]}; clock {clock_cost():.0f} ns a reading")
        idle(endpoint)
        busy("up", endpoint, options.calls, {})
        busy("hung", f"127.0.0.1:{hung.getsockname()[1]}", options.calls, {})
        busy("down", down, options.calls, {})
        busy("full", down, options.calls, {"buffer_bytes": 64 * 1024})
        throughput(endpoint, options.events)
    finally:
        hung.close()
        if sink is not None:
            sink.communicate("")


def logger(endpoint: str, more: dict[str, int]) -> sluice.Logger:
    quiet: list[sluice.Diagnostic] = []
    return sluice.init(endpoint=endpoint, run="measure", on_diagnostic=quiet.append, **more)  # type: ignore[arg-type]


def idle(endpoint: str, calls: int = 3000) -> None:
    log = logger(endpoint, {})
    taken = []
    for step in range(calls):
        end = time.perf_counter_ns() + 1_000_000
        while time.perf_counter_ns() < end:
            pass
        start = time.perf_counter_ns()
        log.event("train.step", step=step, loss=2.31, lr=3e-4, grad_norm=0.8, tokens_per_s=1234.5)
        taken.append(time.perf_counter_ns() - start)
    log.close()
    report("idle", "4 numbers and a step", taken)


def busy(state: str, endpoint: str, calls: int, more: dict[str, int]) -> None:
    for count in (4, 5):
        log = logger(endpoint, more)
        clock = time.perf_counter_ns
        taken = [0] * calls
        if count == 4:
            for step in range(calls):
                start = clock()
                log.event("train.step", step=step, loss=2.31, lr=3e-4, grad_norm=0.8, tokens_per_s=1234.5)
                taken[step] = clock() - start
        else:
            for step in range(calls):
                start = clock()
                log.event(
                    "train.step", step=step, loss=2.31, lr=3e-4, grad_norm=0.8, tokens_per_s=1234.5, epoch=3
                )
                taken[step] = clock() - start
        report(state, f"{count} numbers and a step", taken)
        log.close(timeout=10 if state == "up" else 0)


def throughput(endpoint: str, events: int) -> None:
    log = logger(endpoint, {})
    started = time.perf_counter()
    cpu = time.process_time()
    for step in range(events):
        log.event("train.step", step=step, loss=2.31, lr=3e-4, grad_norm=0.8, tokens_per_s=1234.5)
    logged = time.perf_counter()
    result = log.close(timeout=60)
    ended = time.perf_counter()
    cpu = time.process_time() - cpu
    stats = log.stats()
    print(
        f"throughput: {events} events logged in {logged - started:.2f} s, acknowledged ({result.acknowledged}) after "
        f"{ended - started:.2f} s: {stats.acknowledged / (ended - started):,.0f} events/s, dropped "
        f"{sum(stats.dropped.values())}, {cpu / events * 1e6:.2f} µs of CPU an event"
    )


def report(state: str, what: str, taken: list[int]) -> None:
    taken = sorted(taken)

    def at(share: float) -> float:
        return taken[min(len(taken) - 1, int(len(taken) * share))] / 1000

    print(
        f"{state:5} {what:21} p50 {at(0.5):6.2f} µs  p99 {at(0.99):7.2f}  p99.9 {at(0.999):8.2f}  "
        f"p99.99 {at(0.9999):8.2f}  max {taken[-1] / 1000:9.1f}  mean {sum(taken) / len(taken) / 1000:6.2f}"
    )


def clock_cost() -> float:
    clock = time.perf_counter_ns
    readings = sorted(clock() - clock() for _ in range(10_000))
    return float(-readings[len(readings) // 2])


def serve() -> None:
    """Reads requests and acknowledges them."""
    import grpc

    from sluice._generated import collector_pb2 as pb

    def log(requests, context):  # type: ignore[no-untyped-def]
        durable = 0
        for data in requests:
            request = pb.LogRequest.FromString(data)
            if request.first_sequence:
                numbers = sum(block.count for block in request.blocks) + sum(
                    loss.count for loss in request.losses
                )
                durable = request.first_sequence + numbers + len(request.events) - 1
        return pb.LogResponse(durable_sequence=durable)

    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 16 * 2**20)]
    )
    handler = grpc.stream_unary_rpc_method_handler(log, response_serializer=pb.LogResponse.SerializeToString)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("sluice.v1.EventCollector", {"Log": handler}),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    if SINK in sys.argv:
        serve()
    else:
        main()
