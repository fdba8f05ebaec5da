from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sluice.delivery.loop import Loop, Timer
from sluice.delivery.source import FrozenRequest
from sluice.limits import SPOOL_CLOSE_RETRY_MS, SPOOL_RETRY_MS, SPOOL_WRITE_BYTES

from .files import SpoolFiles
from .format import (
    SegmentPlace,
    StoredRequest,
    acknowledged_frame,
    folder_name,
    frame_seed,
    header_frame,
    read_segment,
    request_frame,
    segment_file_name,
)

#: Stands for heads and what an acknowledgment needs.
_SPARE_BYTES = 1024


class ReadBack(NamedTuple):
    """What a read of the spool gave."""

    requests: list[StoredRequest]
    #: Everything up to here is in `requests`, or damaged.
    through: int


class WriterEvents(NamedTuple):
    """What a writer tells, on the disk's thread."""

    #: Requests are in the file. In the order of appending; what was acknowledged before is left out.
    written: Callable[[Sequence[FrozenRequest]], None]
    #: Nothing is left to write, or there is room again.
    idle: Callable[[], None]
    #: The disk failed; it is tried again by itself.
    failed: Callable[[OSError], None]


class _Segment:
    __slots__ = ("first", "has_tail", "is_synced", "last", "number", "path", "seed", "size")

    def __init__(self, number: int, path: str, seed: int) -> None:
        self.number = number
        self.path = path
        self.seed = seed
        self.size = 0
        self.first = 0
        self.last = 0
        self.is_synced = False
        #: A failed write may have left something behind `size`, which a shorter one would not cover.
        self.has_tail = False


class SpoolWriter:
    """Writes a logger's frozen requests into its folder of the spool directory, and deletes what is acknowledged.

    Invariants:
    1. Every operation of the disk happens on the disk's thread, one after another; what others call only takes a lock
       that is never held during one. So a disk that hangs holds up nobody who does not wait for it.
    2. Requests are written in order, each once, or not at all if they are acknowledged before their turn.
    3. A write goes to a position, so that a failed one is repeated in the same place.
    4. A segment is deleted when everything in it is acknowledged, and never written to after that was decided.
    """

    def __init__(
        self,
        *,
        directory: str,
        producer_id: bytes,
        producer: bytes,
        owner: str,
        segment_bytes: int,
        limit_bytes: int,
        queue_bytes: int,
        files: SpoolFiles,
        disk: Loop,
        events: WriterEvents,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """
        directory:   the spool directory; the producer's folder is made in it when there is something to write.
        producer_id: 16 bytes.
        producer:    the producer field of a request.
        owner:       this process, as it stands in the folder's name.
        queue_bytes: bytes that may wait for the disk before no more should be frozen for it.
        """
        self.folder = os.path.join(directory, folder_name(producer_id, owner))
        self._directory = directory
        self._producer_id = producer_id
        self._producer = producer
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._queue_bytes = queue_bytes
        self._files = files
        self._disk = disk
        self._events = events
        self._wall_ns = wall_ns

        #: Guards what follows up to the blank line. Its waiters are told whenever something of it has changed.
        self._state = threading.Condition()
        self._queue: deque[FrozenRequest] = deque()
        self._queued_bytes = 0
        #: How many of the queue's first are being written at this moment.
        self._under_way = 0
        self._acknowledged = 0
        self._is_run_posted = False
        self._is_full = False
        #: Set to write a few bytes more than the limit allows.
        self._is_beyond_limit = False
        self._is_stopped = False
        self._is_retrying = False
        #: Set when there is no later for which a failed operation could wait.
        self._is_hurried = False

        # On the disk's thread alone; `bytes` is read by others.
        #: Bytes in the folder.
        self.bytes = 0
        self._segments: list[_Segment] = []
        #: Acknowledged as a whole, and to be deleted.
        self._doomed: deque[_Segment] = deque()
        self._current: tuple[_Segment, int] | None = None
        self._next_number = 1
        self._has_folder = False
        self._recorded = 0
        self._retry: Timer | None = None

    # On any thread.

    @property
    def is_ready(self) -> bool:
        """Whether the disk takes more at the moment."""
        is_working = not (self._is_retrying or self._is_full or self._is_stopped)
        return is_working and self._queued_bytes < self._queue_bytes

    def append(self, request: FrozenRequest) -> None:
        self._enqueue((request,))

    def forget(self, through: int) -> None:
        """Everything up to a number is acknowledged, or lost in a way that the collector knows."""
        with self._state:
            if through <= self._acknowledged or self._is_stopped:
                return
            self._acknowledged = through
        self._post_run()

    def hurry(self) -> None:
        """From now on a disk that fails is tried again after a moment; one that waits for that already, at once."""
        with self._state:
            self._is_hurried = True
        self._disk.post(self._run_at_once)

    def settle(self, target: int, timeout_s: float) -> bool:
        """Blocks until everything up to a number is written or acknowledged (True), or there is no telling when it
        will be: the disk fails (unless `hurry` was called), the limit is reached, the time is over (False)."""

        def is_done() -> bool:
            return not self._queue or self._queue[0].first > target

        def is_over() -> bool:
            is_waiting = self._is_retrying and not self._is_hurried
            return is_done() or is_waiting or self._is_full or self._is_stopped

        with self._state:
            self._state.wait_for(is_over, max(0.0, timeout_s))
            return is_done()

    def take_unwritten(self) -> list[FrozenRequest]:
        """What was appended and is not in the file, the oldest first; none of it is written any more."""
        with self._state:
            # What is being written at this moment may yet arrive.
            taken = [self._queue.pop() for _ in range(len(self._queue) - self._under_way)]
            self._queued_bytes -= sum(len(request.data) for request in taken)
            return taken[::-1]

    def append_beyond_limit(self, requests: Sequence[FrozenRequest]) -> None:
        """Writes these whatever the limit says: a few bytes that say what is missing."""
        with self._state:
            self._is_beyond_limit = True
            self._is_full = False
        self._enqueue(requests)
        self._disk.post(self._run_at_once)

    def _enqueue(self, requests: Sequence[FrozenRequest]) -> None:
        with self._state:
            if self._is_stopped:
                return
            self._queue.extend(requests)
            self._queued_bytes += sum(len(request.data) for request in requests)
        self._post_run()

    def _post_run(self) -> None:
        with self._state:
            if self._is_run_posted or self._is_retrying or self._is_stopped:
                return
            self._is_run_posted = True
        self._disk.post(self._run)

    # On the disk's thread.

    def read(self, first: int) -> ReadBack:
        """Reads what was written from a sequence number on: the rest of one segment. Raises OSError."""
        segment = next((each for each in self._segments if each.last >= first), None)
        if segment is None:
            return ReadBack([], 2**63)
        try:
            data = self._files.read(segment.path)
        except FileNotFoundError:
            data = b""
        place = SegmentPlace(self._producer_id, segment.number)
        # Behind the size lies what a failed write left.
        content = read_segment(data[: segment.size], place)
        return ReadBack([request for request in content.requests if request.first >= first], segment.last)

    def sync(self) -> None:
        """Brings everything written to the disk itself, to survive a power loss. Raises OSError."""
        is_new = False
        for segment in self._segments:
            if segment.is_synced:
                continue
            is_new = True
            file = self._files.open_for_writing(segment.path)
            try:
                self._files.sync(file)
            finally:
                self._files.close(file)
            segment.is_synced = True
        if is_new:
            self._files.sync_folder(self.folder)
            self._files.sync_folder(self._directory)

    def release(self) -> None:
        """Gives the folder to whoever comes next, or removes it if nothing is in it. The last thing."""
        with self._state:
            if self._is_stopped:
                return
            self._is_stopped = True
            self._state.notify_all()
        if self._retry is not None:
            self._retry.cancel()
        try:
            self._remove_acknowledged()
            self._close_current()
            if not self._has_folder:
                return
            if not self._segments and not self._doomed:
                self._files.remove_folder(self.folder)
            else:
                free = os.path.join(self._directory, folder_name(self._producer_id))
                self._files.rename(self.folder, free)
        except OSError as error:
            # Then it stays this process's, and is free when that is gone.
            if self._segments:
                self._events.failed(error)

    def _run_at_once(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        with self._state:
            self._is_retrying = False
        self._run()

    def _run(self) -> None:
        with self._state:
            self._is_run_posted = False
            if self._is_retrying or self._is_stopped:
                return
        try:
            self._work()
        except OSError as error:
            self._fail(error)
            return
        with self._state:
            self._state.notify_all()
        self._events.idle()

    def _work(self) -> None:
        while not self._is_stopped:
            self._remove_acknowledged()
            self._drop_acknowledged()
            if self._queue:
                if not self._write_next():
                    return
            elif not self._record_acknowledged():
                return
            with self._state:
                self._state.notify_all()

    def _write_next(self) -> bool:
        """False if the limit does not allow it."""
        if self._current is None or self._current[0].size >= self._segment_bytes:
            with self._state:
                oldest = self._queue[0] if self._queue else None
            if oldest is None:
                return True
            if self._would_exceed(oldest, 0):
                return False
            self._open()
        assert self._current is not None
        segment, file = self._current
        with self._state:
            batch, buffers, size = self._next_batch(segment)
            self._under_way = len(batch)
        if not batch:
            # The limit is reached; or somebody took away what was there a moment ago.
            return not self._is_full
        try:
            self._write(segment, file, buffers, size)
        finally:
            with self._state:
                self._under_way = 0
        segment.first = segment.first or batch[0].first
        segment.last = batch[-1].last
        # Before they are out of the queue: whoever settles must find them told.
        self._events.written(batch)
        with self._state:
            for request in batch:
                self._queue.popleft()
                self._queued_bytes -= len(request.data)
        return True

    def _next_batch(self, segment: _Segment) -> tuple[list[FrozenRequest], list[bytes], int]:
        """The frames that go into a segment next; none if the limit does not allow it."""
        batch: list[FrozenRequest] = []
        buffers: list[bytes] = []
        size = 0
        if segment.size == 0:
            place = SegmentPlace(self._producer_id, segment.number)
            buffers.append(header_frame(place, self._wall_ns() // 1_000_000, self._producer))
            size += len(buffers[0])
        for request in self._queue:
            if size >= SPOOL_WRITE_BYTES or segment.size + size >= self._segment_bytes:
                break
            if self._would_exceed(request, size):
                break
            stored = StoredRequest(request.first, request.last, request.events, request.data)
            frame = request_frame(stored, segment.seed)
            buffers.extend(frame)
            size += len(frame[0]) + len(frame[1])
            batch.append(request)
        return batch, buffers, size

    def _would_exceed(self, request: FrozenRequest, more: int) -> bool:
        if self._is_beyond_limit:
            return False
        is_full = self.bytes + more + len(request.data) + _SPARE_BYTES > self._limit_bytes
        with self._state:
            self._is_full = is_full
        return is_full

    def _write(self, segment: _Segment, file: int, buffers: Sequence[bytes], size: int) -> None:
        if segment.has_tail:
            self._files.truncate(file, segment.size)
        segment.has_tail = True
        self._files.write(file, buffers, segment.size)
        segment.has_tail = False
        segment.size += size
        segment.is_synced = False
        self.bytes += size

    def _open(self) -> None:
        self._close_current()
        # Each time: somebody may have taken the folder away, by hand or because it could not see this process.
        self._files.make_folder(self.folder)
        self._has_folder = True
        while True:
            number = self._next_number
            path = os.path.join(self.folder, segment_file_name(number))
            try:
                file = self._files.create(path)
            except FileExistsError:
                self._next_number += 1
                continue
            break
        # Not before: the first file must be number 1, or nobody would know that what is damaged in its front began
        # with the first request.
        self._next_number += 1
        segment = _Segment(number, path, frame_seed(SegmentPlace(self._producer_id, number)))
        self._segments.append(segment)
        self._current = segment, file

    def _close_current(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            self._files.close(current[1])

    def _drop_acknowledged(self) -> None:
        with self._state:
            while self._queue and self._queue[0].last <= self._acknowledged:
                self._queued_bytes -= len(self._queue.popleft().data)

    def _remove_acknowledged(self) -> None:
        while self._segments and self._segments[0].last <= self._acknowledged:
            segment = self._segments.pop(0)
            self._doomed.append(segment)
            if self._current is not None and self._current[0] is segment:
                self._close_current()
        while self._doomed:
            segment = self._doomed[0]
            try:
                self._files.remove(segment.path)
            except FileNotFoundError:
                pass
            self._doomed.popleft()
            if segment.size == 0 and self._next_number == segment.number + 1:
                # Its first write failed, so that its number was not used.
                self._next_number = segment.number
            self.bytes -= segment.size
            with self._state:
                self._is_full = False

    def _record_acknowledged(self) -> bool:
        """So that what is acknowledged but shares a segment with what is not is not sent again by the next owner.
        False if there is nothing to record."""
        if self._current is None or not self._segments:
            return False
        through = self._acknowledged
        if through <= self._recorded or through < self._segments[0].first:
            return False
        segment, file = self._current
        frame = acknowledged_frame(through, segment.seed)
        self._write(segment, file, (frame,), len(frame))
        self._recorded = through
        return True

    def _fail(self, error: OSError) -> None:
        with self._state:
            if self._is_stopped:
                return
            self._is_retrying = True
            delay_ms = SPOOL_CLOSE_RETRY_MS if self._is_hurried else SPOOL_RETRY_MS
            self._state.notify_all()
        self._retry = self._disk.call_later(delay_ms, self._run_at_once)
        self._events.failed(error)
