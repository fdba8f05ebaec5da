from __future__ import annotations

import errno
import os
from collections.abc import Callable

from sluice.buffer.frozen_request import thaw_request
from sluice.buffer.frozen_requests import FrozenRequests
from sluice.clock import Clock
from sluice.delivery.loop import Loop
from sluice.delivery.source import FrozenRequest
from sluice.limits import SPOOL_RETRY_MS

from .files import SpoolFiles
from .format import SegmentPlace, acknowledged_frame, folder_name, frame_seed, read_segment
from .orphan import Orphan, OrphanSegment

#: Folders of one producer that were put aside; more of them are nobody's plan.
_ASIDE_MAX = 100


class OrphanBuffer(FrozenRequests):
    """What another process left, as the delivery takes it: file after file, under its producer's own numbers.
    Implements `RequestSource`; everything, operations of the disk included, happens on the loop's thread.

    Invariants:
    1. Requests go out byte for byte, in the order of their numbers. Numbers that are missing between them are reported
       as lost (`spool_damaged`), in requests of their own.
    2. A file is removed when everything in it is acknowledged, and put aside instead if it is damaged. What is
       acknowledged of the oldest file is recorded in it.
    3. An operation of the disk that fails leaves the rest of the folder as it is.
    """

    has_sealed = False
    opened_s = None

    def __init__(
        self,
        *,
        orphan: Orphan,
        files: SpoolFiles,
        clock: Clock,
        loop: Loop,
        loaded: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        """`loaded`: something is in `frozen`, or there is nothing more."""
        super().__init__(clock)
        #: Numbers that are reported as lost because their part of the spool is damaged or missing.
        self.lost = 0
        self._orphan = orphan
        self._files = files
        self._loop = loop
        self._loaded = loaded
        self._failed = failed
        #: The next number to read; 0 if any may be the first.
        self._next = orphan.next
        self._unread = list(orphan.segments)
        #: The oldest first, read or not, and where each ends.
        self._kept = [(segment, segment.sound_bytes) for segment in orphan.segments]
        self._recorded = orphan.acknowledged
        #: Whether a file could not be read, and it is tried again.
        self._is_waiting = False
        self._is_broken = False
        self.buffered_events = orphan.events

    def gather(self) -> None:
        """Nothing is logged here."""

    @property
    def first_pending(self) -> int:
        return self.frozen[0].first if self.frozen else max(self._next, 1)

    @property
    def is_delivered(self) -> bool:
        return not self.frozen and not self._unread

    def freeze(self, with_open: bool) -> bool:
        return False

    def load_more(self) -> bool:
        if not self._unread:
            return False
        if self._is_waiting:
            return True
        segment = self._unread[0]
        try:
            data = self._files.read(segment.path) if segment.last > 0 else b""
        except OSError as error:
            self._failed(error)
            self._is_waiting = True
            self._loop.call_later(SPOOL_RETRY_MS, self._on_waited)
            return True
        del self._unread[0]
        self._take(data, segment)
        self._loop.post(self._loaded)
        return True

    def release(self, durable: int) -> bool:
        has_released = super().release(durable)
        # More may be stored than was sent from here: somebody delivered it before.
        if not self.frozen and durable >= self._next:
            self._next = durable + 1
        self._record(self.first_pending - 1)
        return has_released

    def finish(self) -> str | None:
        """After everything was acknowledged: removes what is left of the folder, or puts it aside if it is damaged.
        Says where it is then. Raises OSError."""
        self._record(2**63)
        if self._is_broken:
            return None
        if self._orphan.damages:
            return set_aside(self._files, self._orphan)
        try:
            self._files.remove_folder(self._orphan.path)
        except OSError as error:
            # Files that an earlier attempt put aside, or that are nobody's here.
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return set_aside(self._files, self._orphan)
            raise
        self._files.sync_folder(os.path.dirname(self._orphan.path))
        return None

    def may_be_stored(self, request: FrozenRequest) -> bool:
        return True

    def _on_waited(self) -> None:
        self._is_waiting = False
        self._loaded()

    def _take(self, data: bytes, segment: OrphanSegment) -> None:
        place = SegmentPlace(self._orphan.producer_id, segment.number)
        for request in read_segment(data, place).requests:
            if request.first < self._next:
                # It was acknowledged, or is in the file twice; nothing that begins in the middle of another is ever
                # written.
                if request.last > self._orphan.acknowledged:
                    self.buffered_events -= request.events
                continue
            if 0 < self._next < request.first:
                self.lost += request.first - self._next
                self.insert_lost(len(self.frozen), self._next, request.first - 1, (), "spool_damaged")
            self.hold(len(self.frozen), thaw_request(*request))
            self._next = request.last + 1

    def _record(self, through: int) -> None:
        """Everything up to a number is acknowledged."""
        if through <= self._recorded or self._is_broken:
            return
        self._recorded = through
        try:
            self._forget(through)
        except OSError as error:
            self._is_broken = True
            self._failed(error)

    def _forget(self, through: int) -> None:
        kept = self._kept
        while kept and kept[0][0].last <= through:
            oldest = kept[0][0]
            if oldest.is_damaged:
                self._files.rename(oldest.path, f"{oldest.path}.damaged")
            else:
                self._files.remove(oldest.path)
            del kept[0]
        if not kept or through < kept[0][0].first:
            return
        oldest, end = kept[0]
        seed = frame_seed(SegmentPlace(self._orphan.producer_id, oldest.number))
        frame = acknowledged_frame(through, seed)
        file = self._files.open_for_writing(oldest.path)
        try:
            # What is left of a longer frame behind a shorter one would look like damage.
            if oldest.is_torn:
                self._files.truncate(file, end)
            self._files.write(file, (frame,), end)
        finally:
            self._files.close(file)
        kept[0] = oldest, end + len(frame)


def set_aside(files: SpoolFiles, orphan: Orphan) -> str:
    """Renames a folder so that nobody takes it for a spool any more; its new path. Raises OSError."""
    directory = os.path.dirname(orphan.path)
    for attempt in range(1, _ASIDE_MAX + 1):
        suffix = f"-{attempt}" if attempt > 1 else ""
        aside = os.path.join(directory, f"{folder_name(orphan.producer_id)}.damaged{suffix}")
        try:
            files.rename(orphan.path, aside)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _ASIDE_MAX:
                raise
            continue
        files.sync_folder(directory)
        return aside
    raise AssertionError("not reached")
