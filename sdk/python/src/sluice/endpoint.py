"""Where the collector is."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORT = 4317
#: Names that gRPC resolves by itself.
_GRPC_SCHEMES = re.compile(r"(dns|unix|unix-abstract|ipv4|ipv6):")


class Endpoint(NamedTuple):
    """Where the collector is, as gRPC wants it."""

    target: str
    tls: bool


DEFAULT_ENDPOINT = Endpoint("127.0.0.1:4317", tls=False)


def parse_endpoint(text: str) -> Endpoint | None:
    """Reads `host:port`, `host` (port 4317), `http://host:port`, `https://host:port` (TLS) or a gRPC target such as
    `unix:/run/sluice.sock`. None if it is none of these, such as a port alone."""
    trimmed = text.strip()
    if not trimmed or re.search(r"\s", trimmed):
        return None
    if _GRPC_SCHEMES.match(trimmed):
        return Endpoint(trimmed, tls=False)
    try:
        url = urlsplit(trimmed if "://" in trimmed else f"http://{trimmed}")
        port = _DEFAULT_PORT if url.port is None else url.port
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        return None
    if url.path not in ("", "/") or url.query or url.fragment:
        return None
    # A port alone, which would be looked up as the name of a host for ever.
    if url.hostname.isdigit():
        return None
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Endpoint(f"{host}:{port}", tls=url.scheme == "https")
