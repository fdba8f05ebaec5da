"""A real gRPC server on 127.0.0.1 that keeps the sequence rules in memory and can be made to misbehave.

As a program (`python -m tests.support.fake_collector PORT`) it prints its port, serves until its input ends, and prints
what it stored as JSON: for tests whose own process must not have a gRPC server in it, such as those that fork.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from types import TracebackType

import grpc

from sluice._generated import collector_pb2 as pb

from .collector_model import INVALID_ARGUMENT, CollectorModel, RefusedCall

SERVICE = "sluice.v1.EventCollector"
MESSAGE_BYTES = 16 * 1024 * 1024
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


class FakeCollector:
    """Use as a context manager; `stop` may be called again. The behaviour may be changed while it runs.

    hangs:   takes the first message of a call and no more, and never answers, until the server stops.
    on_end:  called in place of answering an ended call, with the response; returns it, raises RefusedCall, or blocks.
    on_call: called when a call begins; may raise RefusedCall.
    """

    def __init__(self, model: CollectorModel | None = None, port: int = 0, workers: int = 32) -> None:
        self.model = model if model is not None else CollectorModel()
        self.hangs = False
        self.on_end: Callable[[pb.LogResponse], pb.LogResponse] | None = None
        self.on_call: Callable[[], None] | None = None
        self._stopped = threading.Event()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(workers),
            options=[("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.so_reuseport", 0)],
        )
        handler = grpc.stream_unary_rpc_method_handler(
            self._log, request_deserializer=None, response_serializer=pb.LogResponse.SerializeToString
        )
        once = grpc.unary_unary_rpc_method_handler(
            lambda data, context: self._log(iter((data,)), context, is_once=True),
            request_deserializer=None,
            response_serializer=pb.LogResponse.SerializeToString,
        )
        handlers = {"Log": handler, "LogOnce": once}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        if self.port == 0:
            raise OSError(f"port {port} is not free")
        self.endpoint = f"127.0.0.1:{self.port}"
        self._server.start()

    def stop(self) -> None:
        """Ends every connection at once, as a killed process does."""
        self._stopped.set()
        self._server.stop(0).wait()

    def __enter__(self) -> FakeCollector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _log(
        self, requests: Iterator[bytes], context: grpc.ServicerContext, is_once: bool = False
    ) -> pb.LogResponse:
        call = self.model.open_call()
        call.is_once = is_once
        try:
            if self.on_call is not None:
                self.on_call()
            for data in requests:
                if self.hangs:
                    self._stopped.wait()
                call.take(data)
            response = call.response()
            return response if self.on_end is None else self.on_end(response)
        except RefusedCall as error:
            context.set_trailing_metadata(tuple(error.metadata.items()))
            context.abort(_STATUS[error.code], error.message)
        except grpc.RpcError:
            # The client went away in the middle of the call.
            raise
        except AssertionError as error:
            context.abort(_STATUS[INVALID_ARGUMENT], str(error))
        raise AssertionError("not reached: abort raises")


def main() -> None:
    with FakeCollector(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(server.port, flush=True)
        sys.stdin.read()
        # Calls may still be coming.
        with server.model.lock:
            producers = {
                id: {
                    "durable": stored.durable,
                    "pid": stored.producer.pid,
                    "losses": stored.losses,
                    "events": [
                        {
                            "name": event.name,
                            "severity_number": event.severity_number,
                            "body": event.body,
                            "step": event.step,
                            "metrics": dict(event.metrics),
                            "attributes": dict(event.attributes),
                        }
                        for event in stored.events
                    ],
                }
                for id, stored in server.model.producers.items()
            }
        json.dump({"calls": server.model.calls, "producers": producers}, sys.stdout)


if __name__ == "__main__":
    main()
