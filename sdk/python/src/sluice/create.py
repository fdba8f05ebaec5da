"""Makes loggers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import NamedTuple

from sluice.clock import SYSTEM_CLOCK
from sluice.core import Core, make_core
from sluice.diagnostics import Diagnostic, Diagnostics
from sluice.environment import Encoding, Mode
from sluice.logger import Logger
from sluice.options import Settings, resolve_options
from sluice.process_exit import forget_exit, watch_exit
from sluice.uuid7 import uuid7

#: The logger of the last `init`; in a list, so that a fork or a reload finds one place.
_default: list[Logger] = []
#: Loggers that came from another process, by the producer that they had there.
_revived: dict[str, Logger] = {}


def init(
    *,
    project: str | None = None,
    run: str | None = None,
    job: str | None = None,
    endpoint: str | None = None,
    rank: int | None = None,
    local_rank: int | None = None,
    world_size: int | None = None,
    attempt: int | None = None,
    host: str | None = None,
    labels: Mapping[str, str | int | float | bool] | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    spool_bytes: int | None = None,
    mode: Mode | None = None,
    encoding: Encoding | None = None,
    buffer_bytes: int | None = None,
    request_bytes: int | None = None,
    request_age_ms: int | None = None,
    call_bytes: int | None = None,
    call_age_ms: int | None = None,
    ack_timeout_ms: int | None = None,
    flush_timeout_ms: int | None = None,
    close_timeout_ms: int | None = None,
    exit_timeout_ms: int | None = None,
    backoff_min_ms: int | None = None,
    backoff_max_ms: int | None = None,
    on_diagnostic: Callable[[Diagnostic], None] | None = None,
    **unknown: object,
) -> Logger:
    """Makes a logger, which the functions of the module use from now on. Never raises: an option that is wrong, or that
    there is none of, is ignored, and said so once on stderr or to `on_diagnostic`. No thread is started and no
    connection made before there is something to send (with a spool directory, one thread looks for what others left; in
    a process of multiprocessing, one waits for SIGTERM).

    Everything is optional; what is absent comes from the environment, then from the default.

    - `project`: what the run belongs to. SLUICE_PROJECT; default "default".
    - `run`: the run; all ranks of a job share it. SLUICE_RUN, TORCHELASTIC_RUN_ID, SLURM_JOB_ID; default a new name.
    - `job`: the kind of process within the run, such as "train". SLUICE_JOB; default empty.
    - `endpoint`: where the collector is: `host:port`, `http://host:port`, `https://host:port` (TLS), or a gRPC
      target such as `unix:/run/sluice.sock`. SLUICE_ENDPOINT; default 127.0.0.1:4317.
    - `rank`, `local_rank`, `world_size`, `attempt`: torchrun's, Open MPI's or SLURM's; default 0, unknown, unknown, 0.
    - `host`: default the host's name.
    - `labels`: up to 64 texts, numbers or booleans about this process.
    - `spool_dir`: a directory for what cannot be delivered: it survives the end of the process, and the next logger
      with that directory, or `sluice-sync`, delivers it. SLUICE_SPOOL_DIR; default none, but `./sluice-spool` offline.
    - `spool_bytes`: what this logger's files there may take. Default 1 GiB.
    - `mode`: "offline": no connection is made, everything goes to the spool. SLUICE_MODE; default "online".
    - `encoding`: how events are sent: "blocks", or "rows" for a collector that does not know blocks. SLUICE_ENCODING;
      default "blocks".
    - `buffer_bytes`: bytes of events in memory at most, unacknowledged ones included. Default 64 MiB.
    - `request_bytes`, `request_age_ms`: size and age at which a request is sealed. Default 1 MiB; as the collector
      asks.
    - `call_bytes`, `call_age_ms`: size and age at which a call ends for its acknowledgment. Default 4 MiB; as the
      collector asks.
    - `ack_timeout_ms`: how long a call may make no progress before it is given up and sent again. Default 30,000.
    - `flush_timeout_ms`, `close_timeout_ms`: deadlines of `flush()` and `close()`. Default 30,000 and 5,000.
    - `exit_timeout_ms`: how long a process that ends is held up to deliver what is left. Default 5,000.
    - `backoff_min_ms`, `backoff_max_ms`: first and largest bound of the random delays between attempts. Default 100 and
      10,000.
    - `on_diagnostic`: takes problems instead of stderr; each kind at most once in ten minutes, but `reached` after each
      `unreachable`. On any thread.
    """
    given = {**locals()}
    given.update(given.pop("unknown"))
    logger = create_logger({name: value for name, value in given.items() if value is not None})
    _default[:] = [logger]
    return logger


def default_logger() -> Logger | None:
    """The logger of the last `init`; None before."""
    return _default[-1] if _default else None


def create_logger(given: Mapping[str, object]) -> Logger:
    """A logger that is nobody's default."""
    clock = SYSTEM_CLOCK
    start_ns = clock.wall_ns()
    first_id = uuid7(start_ns // 1_000_000)
    surroundings = _Surroundings(os.environ, _host_name(), lambda: new_run(start_ns, first_id))
    try:
        settings = _resolve(given, surroundings)
    except Exception as error:
        # Whatever the options do when they are looked at, the job goes on.
        settings = _resolve({}, surroundings)
        warning = f"the options cannot be read ({type(error).__name__}); ignored"
        settings = replace(settings, warnings=(*settings.warnings, warning))
    diagnostics = Diagnostics(settings.on_diagnostic)
    if settings.warnings:
        diagnostics.report("option", lambda: "; ".join(settings.warnings))
    ids = [first_id]

    def make() -> Core:
        # After a fork there is none left, and another one is made.
        return make_core(settings, clock, diagnostics, ids.pop() if ids else None)

    logger = Logger(settings, make, diagnostics, given=given, forget=forget_exit)
    watch_exit(logger)
    return logger


def revive(producer_id: str, given: Mapping[str, object]) -> Logger:
    """What becomes of a logger that was pickled: itself in its own process, and in another one a new logger, which is
    made once."""
    default = default_logger()
    if default is not None and default.producer_id == producer_id:
        return default
    logger = _revived.get(producer_id)
    if logger is None:
        logger = _revived[producer_id] = create_logger(given)
        if default is None:
            _default[:] = [logger]
    return logger


def new_run(start_ns: int, producer_id: bytes) -> str:
    """Sorts by time and can be said aloud: 20261123-005350-7f3a9c."""
    start = datetime.fromtimestamp(start_ns // 10**9, timezone.utc)
    return f"{start:%Y%m%d-%H%M%S}-{producer_id[13:].hex()}"


class _Surroundings(NamedTuple):
    variables: Mapping[str, str]
    host: str
    new_run: Callable[[], str]


def _resolve(given: Mapping[str, object], surroundings: _Surroundings) -> Settings:
    variables, host, new_name = surroundings
    return resolve_options(given, variables=variables, host=host, new_run=new_name)


def _host_name() -> str:
    try:
        return socket.gethostname()
    except OSError:
        return ""
