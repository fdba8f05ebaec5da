"""Delivers everything that lies in a spool directory and whose process is gone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from sluice.delivery.deliverer import Answer
from sluice.delivery.grpc_transport import make_transport
from sluice.delivery.outlet import bug_reporter
from sluice.delivery.response import decode_producer
from sluice.delivery.thread import DeliveryThread
from sluice.diagnostics import Diagnostic, Diagnostics
from sluice.endpoint import parse_endpoint
from sluice.limits import SPOOL_CLOSE_MS
from sluice.options import Settings, resolve_options
from sluice.uuid7 import uuid_text

from .claim import SpoolFolder, claim_folder, give_back, list_folders
from .files import SYSTEM_FILES
from .orphan import Orphan, inspect_orphan
from .orphan_buffer import set_aside
from .owner import this_process
from .sender import OrphanSender

SyncState = Literal[
    "delivered",  # everything is acknowledged, and the files are gone
    "damaged",  # everything that is sound is acknowledged; the damaged files were put aside
    "left",  # not everything could be delivered in time
    "unreadable",  # it cannot be claimed, read or removed
    "in use",  # its process lives and delivers it itself
    "other host",  # its process ran on another host or in another container, and may live there
    "taken",  # somebody else took it just now
]

#: After these nothing is left but what living processes deliver themselves.
_COMPLETE: tuple[SyncState, ...] = ("delivered", "damaged", "in use", "taken")

DEFAULT_TIMEOUT_MS = 30_000
_PROGRESS_S = 1.0


class SyncedProducer(NamedTuple):
    """What lies in the spool of one producer, and what became of it."""

    #: `producer_id` in the tables.
    producer_id: str
    #: Empty for a folder that was not opened, or holds nothing.
    project: str = ""
    run: str = ""
    rank: int = 0
    #: The host of its process, if that is known.
    host: str = ""
    #: Events that were in the folder and not acknowledged; 0 for one that was not opened.
    events: int = 0
    #: How many of these are acknowledged now: on the collector's disk, or counted there as lost.
    delivered: int = 0
    #: Sequence numbers that were reported as lost, because their part of the spool is damaged or missing.
    lost: int = 0
    bytes: int = 0
    state: SyncState = "left"
    #: Why, in words; empty if there is nothing to say.
    detail: str = ""


class SyncResult(NamedTuple):
    #: The oldest first.
    producers: list[SyncedProducer]
    #: Whether nothing is left but what living processes deliver themselves.
    is_complete: bool


def sync_spool(
    directory: str | os.PathLike[str],
    *,
    endpoint: str | None = None,
    other_hosts: bool = False,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    cancelled: threading.Event | None = None,
    on_producer: Callable[[SyncedProducer], None] = lambda producer: None,
    on_progress: Callable[[str, int, int], None] = lambda run, delivered, events: None,
    on_diagnostic: Callable[[Diagnostic], None] | None = None,
) -> SyncResult:
    """Delivers everything that lies in a spool directory and whose process is gone: events of jobs that were killed,
    that could not reach their collector, or that ran offline. Each event arrives once, whoever tries how often.

    Any number of processes may do so at once, and loggers may use the directory meanwhile. Raises OSError only if the
    directory cannot be listed (FileNotFoundError if there is none), ValueError if the endpoint is none.

    endpoint:      as `endpoint` of `sluice.init`. SLUICE_ENDPOINT; default 127.0.0.1:4317.
    other_hosts:   takes the folders of processes on other hosts and in other containers too. They must be gone.
    timeout_ms:    gives up after so long without progress; 0: never.
    cancelled:     ends it early when it is set, and gives back what is not delivered.
    on_producer:   a producer is done, one way or another.
    on_progress:   run, delivered and all events of a producer; about once a second.
    on_diagnostic: takes problems on the way, as with `sluice.init`; default: one line on stderr.
    """
    if endpoint is not None and parse_endpoint(endpoint) is None:
        raise ValueError(
            f"the endpoint is {endpoint!r}; it must be host:port, http://host:port or https://host:port"
        )
    options = {} if endpoint is None else {"endpoint": endpoint}
    settings = resolve_options(options, variables=os.environ, host="", new_run=lambda: "")
    path = os.path.abspath(directory)
    cancel = threading.Event() if cancelled is None else cancelled
    run = _SyncRun(path, settings, other_hosts, timeout_ms, cancel, on_progress, Diagnostics(on_diagnostic))
    producers: list[SyncedProducer] = []
    try:
        for folder in list_folders(SYSTEM_FILES, path, this_process()):
            if cancel.is_set():
                break
            producers.append(run.sync(folder))
            on_producer(producers[-1])
    finally:
        run.end()
    is_complete = all(producer.state in _COMPLETE for producer in producers)
    return SyncResult(producers, is_complete and not cancel.is_set())


class _SyncRun:
    def __init__(
        self,
        directory: str,
        settings: Settings,
        other_hosts: bool,
        timeout_ms: int,
        cancelled: threading.Event,
        on_progress: Callable[[str, int, int], None],
        diagnostics: Diagnostics,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._other_hosts = other_hosts
        self._timeout_s = timeout_ms / 1000
        self._cancelled = cancelled
        self._on_progress = on_progress
        self._diagnostics = diagnostics
        self._thread = DeliveryThread("sluice-sync", report_bug=bug_reporter(diagnostics))
        self._transport = make_transport(settings.endpoint, self._thread)
        self._problem = ""

    def end(self) -> None:
        self._thread.post(self._transport.disconnect)
        self._thread.stop(SPOOL_CLOSE_MS / 1000)

    def sync(self, folder: SpoolFolder) -> SyncedProducer:
        owner, state = folder.owner, folder.state
        base = SyncedProducer(uuid_text(folder.producer_id), host=owner.host if owner is not None else "")
        if state == "alive":
            return base._replace(state="in use", detail=f"process {owner.pid if owner else 0} lives")
        if state == "elsewhere" and not self._other_hosts:
            where = folder.name if owner is None else f"process {owner.pid} of {owner.host}"
            detail = f"of {where}; it may live, which cannot be seen from here"
            return base._replace(state="other host", detail=detail)
        try:
            path = claim_folder(SYSTEM_FILES, self._directory, folder, this_process())
            if path is None:
                return base._replace(state="taken", detail="somebody else took it just now")
            try:
                orphan = inspect_orphan(SYSTEM_FILES, path, folder.producer_id)
                result = self._deliver(base, orphan)
                if result.state == "delivered" and orphan.producer is None:
                    looked_in = os.path.join(self._directory, folder.name)
                    return result._replace(detail=f"nothing to send: {looked_in} held no event")
                return result
            finally:
                # What is still there goes back, to whoever tries next.
                if os.path.isdir(path):
                    give_back(SYSTEM_FILES, self._directory, folder.producer_id, path)
        except OSError as error:
            return base._replace(state="unreadable", detail=str(error))

    def _deliver(self, base: SyncedProducer, orphan: Orphan) -> SyncedProducer:
        damages = "; ".join(orphan.damages)
        if orphan.producer is None and orphan.damages:
            aside = set_aside(SYSTEM_FILES, orphan)
            return base._replace(
                bytes=orphan.bytes, state="damaged", detail=f"{damages}; put aside as {aside}"
            )
        known = base._replace(events=orphan.events, bytes=orphan.bytes)
        if orphan.producer is not None:
            facts = decode_producer(orphan.producer)
            known = known._replace(
                project=(facts.project if facts is not None else "") or "default",
                run=(facts.run_id if facts is not None else "") or "default",
                rank=facts.rank if facts is not None else 0,
                host=(facts.host if facts is not None else "") or base.host,
            )
        self._problem = ""
        answer = Answer()
        sender = OrphanSender(
            orphan,
            settings=self._settings,
            endpoint=self._settings.endpoint.target,
            files=SYSTEM_FILES,
            transport=self._transport,
            loop=self._thread,
            report=self._diagnostics.report,
            failed=self._on_failed,
            delivered=lambda: answer.give(True),
        )
        self._thread.pause, self._thread.resume = sender.delivery.interrupt, sender.delivery.resume
        self._thread.post(sender.start)
        is_delivered = self._wait(sender, orphan, known.run, answer)
        self._run(sender.stop)
        buffer = sender.buffer
        result = known._replace(delivered=orphan.events - buffer.buffered_events, lost=buffer.lost)
        if not is_delivered:
            error = self._problem or sender.delivery.counts.last_error or "stopped before it began"
            return result._replace(state="left", detail=error)
        aside_as = buffer.finish()
        if self._problem:
            return result._replace(state="unreadable", detail=self._problem)
        if aside_as is None:
            return result._replace(state="delivered")
        return result._replace(state="damaged", detail=f"{damages}; put aside as {aside_as}")

    def _wait(self, sender: OrphanSender, orphan: Orphan, run: str, answer: Answer) -> bool:
        slice_s = min(_PROGRESS_S, self._timeout_s) if self._timeout_s > 0 else _PROGRESS_S
        seen = sender.buffer.first_pending
        since_s = time.monotonic()
        while not self._cancelled.is_set():
            if answer.wait(slice_s):
                return True
            first_pending = sender.buffer.first_pending
            if first_pending != seen:
                since_s = time.monotonic()
            elif 0 < self._timeout_s <= time.monotonic() - since_s:
                return False
            seen = first_pending
            self._on_progress(run, orphan.events - sender.buffer.buffered_events, orphan.events)
        return False

    def _run(self, run: Callable[[], None]) -> None:
        """Runs something on the thread and waits for it."""
        answer = Answer()

        def call() -> None:
            try:
                run()
            finally:
                answer.give(True)

        self._thread.post(call)
        answer.wait(SPOOL_CLOSE_MS / 1000)

    def _on_failed(self, error: OSError) -> None:
        self._problem = str(error)
