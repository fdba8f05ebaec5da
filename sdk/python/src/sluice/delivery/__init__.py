"""From a logger's buffer to the collector."""

from __future__ import annotations

import os
import sys

if sys.version_info < (3, 10) and "grpc" not in sys.modules:
    # Before Python 3.10 `subprocess` forks, without Python's hooks, and gRPC's own handlers of a fork end the child
    # before it has begun: 7% of all `subprocess.run` with a call open (measured with Python 3.9 and grpcio 1.80; none
    # with this). gRPC looks at it when it is imported, and does not need them here; see grpc_transport.py.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
