from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sluice.buffer.frozen_request import freeze_lost, thaw_request
from sluice.buffer.request_buffer import RequestBuffer
from sluice.delivery.loop import Timer
from sluice.delivery.source import FrozenRequest
from sluice.limits import REQUEST_OVERHEAD_BYTES, SPOOL_RETRY_MS

from .writer import ReadBack, SpoolWriter


class _Spilled:
    """Requests that are in the file alone."""

    __slots__ = ("events", "first", "last")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last = first
        self.events = 0


class SpooledBuffer(RequestBuffer):
    """A request buffer whose frozen requests go to the spool as well, and may leave memory once they are there.

    Invariants:
    1. In the order of their numbers: `frozen`, then what was spilled, then `_behind`, then drafts. Only while something
       is spilled is there anything behind it; and nothing behind it is in the file yet.
    2. A request leaves memory only when it is in the file and was not handed to a call.
    3. `buffered_events` holds all that is not acknowledged; `spooled_events` are those of them that are in the file.

    On the delivery's thread, as the buffer itself.
    """

    def __init__(
        self,
        *,
        window_bytes: int,
        read_back_bytes: int,
        spool: SpoolWriter,
        read: Callable[[int, Callable[[ReadBack], None], Callable[[OSError], None]], None],
        call_later: Callable[[float, Callable[[], None]], Timer],
        loaded: Callable[[], None],
        failed: Callable[[str], None],
        **arguments: Any,
    ) -> None:
        """
        window_bytes:    bytes of written requests that stay in memory to be sent. Negative: none, nothing is ever sent
                         from here.
        read_back_bytes: room in the buffer that is kept free for reading back, while there is something to read back.
        read:            has the spool read from a number on, and tells what it gave on the delivery's thread.
        loaded:          something that was read back is in `frozen`.
        failed:          told in words when the spool could not be read; it is tried again, or its events are counted as
                         lost.
        arguments:       those of `RequestBuffer`.
        """
        super().__init__(**arguments)
        self._buffer_bytes = self.capacity
        self._window_bytes = window_bytes
        self._read_back_bytes = read_back_bytes
        self._spool = spool
        self._read = read
        self._call_later = call_later
        self._loaded = loaded
        self._failed = failed
        self._spooled_events = 0
        self._spilled: _Spilled | None = None
        self._behind: deque[FrozenRequest] = deque()
        self._is_loading = False
        self._retry: Timer | None = None
        self._is_closed = False

    @property
    def spooled_events(self) -> int:
        return self._spooled_events

    @property
    def first_pending(self) -> int:
        if self.frozen:
            return self.frozen[0].first
        return self.first_unfrozen if self._spilled is None else self._spilled.first

    @property
    def first_unfrozen(self) -> int:
        return self._behind[0].first if self._behind else super().first_unfrozen

    def release(self, durable: int) -> bool:
        has_released = super().release(durable)
        self._spool.forget(self.first_pending - 1)
        self._reserve()
        return has_released

    def load_more(self) -> bool:
        spilled = self._spilled
        if spilled is None:
            return False
        if not self._is_loading and self._retry is None:
            self._is_loading = True
            self._read(spilled.first, self._take_back, self._on_read_failed)
        return True

    def freeze_all(self) -> None:
        """Freezes everything there is."""
        self.gather()
        while self.freeze(True):
            pass

    def written(self, requests: Sequence[FrozenRequest]) -> None:
        """Requests are in the file."""
        with self.changing:
            for request in requests:
                if request.spooled != "gone":
                    request.spooled = "stored"
                    self._spooled_events += request.events
                    self._leave_memory(request)
        self._reserve()

    def lose_rest(self, requests: Sequence[FrozenRequest]) -> list[FrozenRequest]:
        """What takes the place of requests that there is no room for: losses of the same numbers."""
        if not requests:
            return []
        known = [loss for request in requests for loss in request.losses]
        return freeze_lost(requests[0].first, requests[-1].last, known, "closed", self.clock.wall_ns())

    def close(self) -> None:
        with self.changing:
            # Counted now; what the disk says later changes nothing any more.
            for request in (*self.frozen, *self._behind):
                request.spooled = "gone"
            super().close()
            self._behind.clear()
            self._spilled = None
            self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()

    def append(self, request: FrozenRequest) -> None:
        if self._spilled is None:
            super().append(request)
        else:
            self._behind.append(request)
            self.buffered_bytes += len(request.data)
        self._spool.append(request)

    def forget(self, request: FrozenRequest) -> None:
        super().forget(request)
        if request.spooled == "stored":
            self._spooled_events -= request.events
        request.spooled = "gone"

    def _leave_memory(self, request: FrozenRequest) -> None:
        """If there is more in memory than will be sent soon."""
        if self._behind and self._behind[0] is request:
            self._behind.popleft()
            self._spill(request)
            return
        if request.sends > 0:
            return
        # Written in order, so what is behind it in `frozen` is not in the file yet: few, if the disk keeps up.
        behind = 0
        behind_bytes = 0
        for each in reversed(self.frozen):
            if each is request:
                break
            behind += 1
            behind_bytes += len(each.data)
        else:
            return
        if self._window_bytes >= 0:
            held_bytes = self.buffered_bytes - self.draft_bytes - behind_bytes
            count = len(self.frozen) - behind
            if held_bytes + count * REQUEST_OVERHEAD_BYTES <= self._window_bytes:
                return
        for _ in range(behind):
            self._behind.appendleft(self.frozen.pop())
        self.frozen.pop()
        self._spill(request)

    def _spill(self, request: FrozenRequest) -> None:
        self.buffered_bytes -= len(request.data)
        if self._spilled is None:
            self._spilled = _Spilled(request.first)
        self._spilled.last = request.last
        self._spilled.events += request.events

    def _take_back(self, read: ReadBack) -> None:
        self._is_loading = False
        spilled = self._spilled
        if spilled is None or self._is_closed:
            return
        with self.changing:
            end = min(read.through, spilled.last)
            for stored in read.requests:
                if stored.first < spilled.first or stored.last > end:
                    continue
                if stored.first > spilled.first:
                    self._lose_spilled(spilled, stored.first - 1)
                self.hold(len(self.frozen), thaw_request(*stored))
                spilled.first = stored.last + 1
                spilled.events -= stored.events
            if spilled.first <= end:
                self._lose_spilled(spilled, end)
            if spilled.first > spilled.last:
                # What was in damaged frames: how many numbers of them were events is known only now.
                self.buffered_events -= spilled.events
                self._spooled_events -= spilled.events
                self.dropped["spool_damaged"] += spilled.events
                self._spilled = None
                self.frozen.extend(self._behind)
                self._behind.clear()
        self._reserve()
        self._loaded()

    def _on_read_failed(self, error: OSError) -> None:
        self._is_loading = False
        if self._is_closed:
            return
        self._failed(str(error))

        def retry() -> None:
            self._retry = None
            self._loaded()

        # As when it cannot be written: a limit of open files passes, and what is in the file is not lost yet.
        self._retry = self._call_later(SPOOL_RETRY_MS, retry)

    def _lose_spilled(self, spilled: _Spilled, last: int) -> None:
        """Numbers that cannot be read back any more."""
        self.insert_lost(len(self.frozen), spilled.first, last, (), "spool_damaged")
        self._failed(f"sequences {spilled.first} to {last} are damaged and reported as lost")
        spilled.first = last + 1

    def _reserve(self) -> None:
        """Keeps room for reading back."""
        held = 0
        if self._spilled is not None:
            held = self._read_back_bytes
            for request in self.frozen:
                held -= len(request.data)
                if held <= 0:
                    break
        capacity = self._buffer_bytes - max(0, held)
        if capacity != self.capacity:
            self.capacity = capacity
            self._set_limit()
