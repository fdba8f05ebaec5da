"""A receiver of OpenTelemetry's logs that takes everything and keeps nothing: somebody for its SDK to talk to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from serve import own_usage, serve

server = grpc.server(ThreadPoolExecutor(4))


def start(_: Any) -> dict[str, str]:
    # An empty answer: everything was taken.
    method = grpc.unary_unary_rpc_method_handler(
        lambda request, context: b"", request_deserializer=None, response_serializer=None
    )
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return {"endpoint": f"127.0.0.1:{port}"}


serve({"start": start, "usage": lambda _: own_usage(), "stop": lambda _: server.stop(0).wait()})
