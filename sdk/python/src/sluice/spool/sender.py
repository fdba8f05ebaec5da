from __future__ import annotations

from collections.abc import Callable

from sluice.clock import SYSTEM_CLOCK
from sluice.delivery.delivery import Delivery, DeliverySettings, Report
from sluice.delivery.loop import Loop
from sluice.delivery.transport import Transport

from .files import SpoolFiles
from .orphan import Orphan
from .orphan_buffer import OrphanBuffer


class OrphanSender:
    """Delivers one orphan, by the same rules as a logger delivers its own. On the loop's thread."""

    def __init__(
        self,
        orphan: Orphan,
        *,
        settings: DeliverySettings,
        endpoint: str,
        files: SpoolFiles,
        transport: Transport,
        loop: Loop,
        report: Report,
        failed: Callable[[OSError], None],
        delivered: Callable[[], None],
    ) -> None:
        """`delivered`: everything is acknowledged; told once, not before `start`."""
        self._orphan = orphan
        self._delivered = delivered
        self._is_told = False
        self.buffer = OrphanBuffer(
            orphan=orphan, files=files, clock=SYSTEM_CLOCK, loop=loop, loaded=self._on_changed, failed=failed
        )
        self.delivery = Delivery(
            settings=settings,
            endpoint=endpoint,
            source=self.buffer,
            producer=orphan.producer or b"",
            transport=transport,
            loop=loop,
            report=report,
            released=self._on_changed,
        )

    def start(self) -> None:
        """Nothing is sent of what was acknowledged as a whole."""
        if self._orphan.last <= self._orphan.acknowledged:
            self._tell()
        else:
            self.delivery.notice_sealed()

    def stop(self) -> None:
        """Gives up the call that is open. The files are as they should be."""
        self.delivery.stop()

    def _on_changed(self) -> None:
        if self.buffer.is_delivered:
            self._tell()
        else:
            self.delivery.notice_sealed()

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._delivered()
