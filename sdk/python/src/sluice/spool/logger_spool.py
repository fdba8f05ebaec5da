"""Composition root of a logger's spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sluice.buffer.request_buffer import RequestBuffer
from sluice.delivery.delivery import Delivery
from sluice.delivery.grpc_transport import make_transport
from sluice.delivery.outlet import bug_reporter
from sluice.delivery.source import FrozenRequest
from sluice.delivery.thread import DeliveryThread
from sluice.diagnostics import Diagnostics
from sluice.limits import (
    FORK_WAIT_DISK_MS,
    SPOOL_CLOSE_MS,
    SPOOL_RETRY_MS,
    SPOOL_SEGMENT_MAX_BYTES,
    SPOOL_SEGMENT_MIN_BYTES,
    THREAD_STOP_MS,
)
from sluice.options import Settings

from .files import SYSTEM_FILES, SpoolFiles
from .owner import this_process
from .spooled_buffer import SpooledBuffer
from .spooled_deliverer import SpooledDeliverer
from .take_over import TakeOver
from .writer import ReadBack, SpoolWriter, WriterEvents


class LoggerSpool:
    """What a logger has of its spool directory. Three threads, each started when there is something for it to do: the
    delivery's, the disk's, and that of taking over what others left."""

    def __init__(
        self,
        settings: Settings,
        *,
        producer_id: bytes,
        producer: bytes,
        diagnostics: Diagnostics,
        make_buffer: Callable[..., RequestBuffer],
        files: SpoolFiles = SYSTEM_FILES,
    ) -> None:
        """See `open_outlet`."""
        assert settings.spool_dir is not None
        self._directory = settings.spool_dir
        self._diagnostics = diagnostics
        report_bug = bug_reporter(diagnostics)
        self._thread = thread = DeliveryThread("sluice-delivery", report_bug=report_bug)
        self._disk = DeliveryThread("sluice-spool", report_bug=report_bug, fork_wait_ms=FORK_WAIT_DISK_MS)
        self._writer = SpoolWriter(
            directory=settings.spool_dir,
            producer_id=producer_id,
            producer=producer,
            owner=str(this_process()),
            segment_bytes=segment_bytes(settings),
            limit_bytes=settings.spool_bytes,
            queue_bytes=settings.buffer_bytes // 4,
            files=files,
            disk=self._disk,
            events=WriterEvents(self._on_written, self._on_idle, self._on_write_failed),
        )
        is_offline = settings.mode == "offline"
        buffer = make_buffer(
            SpooledBuffer,
            window_bytes=-1 if is_offline else settings.buffer_bytes // 2,
            read_back_bytes=min(segment_bytes(settings), settings.buffer_bytes // 4),
            spool=self._writer,
            read=self._read,
            call_later=thread.call_later,
            loaded=self._on_loaded,
            failed=lambda message: self._report("read", message),
        )
        assert isinstance(buffer, SpooledBuffer)
        self.buffer = buffer
        delivery = None
        self._take_over = None
        if not is_offline:
            delivery = Delivery(
                settings=settings,
                endpoint=settings.endpoint.target,
                source=buffer,
                producer=producer,
                transport=make_transport(settings.endpoint, thread),
                loop=thread,
                report=diagnostics.report,
            )
            self._take_over = TakeOver(
                settings, directory=settings.spool_dir, files=files, diagnostics=diagnostics
            )
            self._take_over.start()
        self._delivery = delivery
        self.deliverer = SpooledDeliverer(
            inner=delivery,
            buffer=buffer,
            spool=self._writer,
            thread=thread,
            disk=self._disk,
            request_age_ms=settings.request_age_ms,
        )

    @property
    def bytes(self) -> int:
        """Of the spool's files."""
        return self._writer.bytes

    def close(self, is_acknowledged: bool) -> None:
        """Ends everything. What is not acknowledged stays in the spool, for which it waits a few seconds at most."""
        deadline_s = time.monotonic() + SPOOL_CLOSE_MS / 1000
        if self._take_over is not None:
            self._take_over.stop()
        if is_acknowledged:
            self.deliverer.release()
        else:
            self.deliverer.finish()
        if self._take_over is not None:
            # At least a moment, because it gives back what it has claimed.
            self._take_over.wait_stopped(max(THREAD_STOP_MS / 1000, deadline_s - time.monotonic()))

    # On the disk's thread; the buffer belongs to the delivery's.

    def _on_written(self, requests: Sequence[FrozenRequest]) -> None:
        self._thread.post(lambda: self.buffer.written(requests))

    def _on_idle(self) -> None:
        self.deliverer.notice_idle()

    def _on_write_failed(self, error: OSError) -> None:
        self._report("written", str(error))

    # On the delivery's thread.

    def _read(self, first: int, done: Callable[[ReadBack], None], failed: Callable[[OSError], None]) -> None:
        def read() -> None:
            try:
                read_back = self._writer.read(first)
            except OSError as error:
                # The name `error` ends with this block.
                reason = error
                self._thread.post(lambda: failed(reason))
                return
            self._thread.post(lambda: done(read_back))

        self._disk.post(read)

    def _on_loaded(self) -> None:
        if self._delivery is not None:
            self._delivery.notice_sealed()

    def _report(self, what: str, message: str) -> None:
        meanwhile = ""
        if what == "written":
            meanwhile = f"; events stay in memory meanwhile, it is tried again in {SPOOL_RETRY_MS} ms"
        self._diagnostics.report(
            "spool",
            lambda: (
                f"the spool directory {self._directory} (spool_dir) cannot be {what}: {message}{meanwhile}"
            ),
        )


def segment_bytes(settings: Settings) -> int:
    """A file is read back as a whole, so it must be small beside the buffer, and the limit be several files."""
    size = min(SPOOL_SEGMENT_MAX_BYTES, settings.buffer_bytes // 8, settings.spool_bytes // 8)
    return max(SPOOL_SEGMENT_MIN_BYTES, size)
