from __future__ import annotations

import os
import random
from collections import deque

from sluice.delivery.grpc_transport import make_transport
from sluice.delivery.outlet import bug_reporter
from sluice.delivery.thread import DeliveryThread
from sluice.diagnostics import Diagnostics
from sluice.limits import TAKE_OVER_EVERY_MS, TAKE_OVER_FIRST_MS
from sluice.options import Settings

from .claim import SpoolFolder, claim_folder, give_back, list_folders
from .files import SpoolFiles
from .format import folder_name
from .orphan import inspect_orphan
from .orphan_buffer import set_aside
from .owner import this_process
from .sender import OrphanSender


class TakeOver:
    """Delivers, beside a logger and in no hurry, what processes that are gone left in its spool directory. All of it,
    operations of the disk included, on a thread of its own.

    Invariants:
    1. One folder at a time, the oldest producer first, each only after it was claimed.
    2. It keeps no process alive: one that ends gives back what it claimed, or frees it by being gone.
    3. It never gives up while the process lives, and a folder that it cannot read costs a report, not a loop.
    """

    def __init__(
        self, settings: Settings, *, directory: str, files: SpoolFiles, diagnostics: Diagnostics
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._files = files
        self._diagnostics = diagnostics
        self._thread = DeliveryThread(
            "sluice-take-over", report_bug=bug_reporter(diagnostics), pause=self._pause, resume=self._resume
        )
        # Its own: a connection of the logger's is dropped when it hangs.
        self._transport = make_transport(settings.endpoint, self._thread)
        self._waiting: deque[SpoolFolder] = deque()
        #: What is claimed, and where it is now.
        self._claimed: tuple[SpoolFolder, str] | None = None
        self._sender: OrphanSender | None = None
        #: Folders that could not be delivered, and are not tried again by this process.
        self._broken: set[str] = set()
        self._is_stopped = False

    def start(self) -> None:
        """Looks for the first time after a moment, and then again and again."""
        self._thread.post(lambda: self._look_in(TAKE_OVER_FIRST_MS))

    def stop(self) -> None:
        """Has what is claimed given back; does not wait for it."""
        self._thread.post(self._stop)
        self._thread.stop(0)

    def wait_stopped(self, timeout_s: float) -> None:
        """Waits until that is done, but not for a disk that hangs."""
        self._thread.stop(timeout_s)

    def _stop(self) -> None:
        self._is_stopped = True
        if self._sender is not None:
            self._sender.stop()
        self._transport.disconnect()
        self._give_back()

    def _pause(self) -> None:
        if self._sender is not None:
            self._sender.delivery.interrupt()
        self._transport.disconnect()

    def _resume(self) -> None:
        if self._sender is not None:
            self._sender.delivery.resume()

    def _look_in(self, delay_ms: float) -> None:
        # Jittered, so that the ranks of a host do not all look at once.
        self._thread.call_later(delay_ms * (0.5 + random.random()), self._look)

    def _look(self) -> None:
        if self._is_stopped:
            return
        try:
            folders = list_folders(self._files, self._directory, this_process())
        except FileNotFoundError:
            folders = []  # Nobody has written anything yet.
        except OSError as error:
            self._report("cannot be read", str(error))
            folders = []
        self._waiting.extend(
            folder
            for folder in folders
            if folder.state in ("dead", "released") and folder.name not in self._broken
        )
        self._next()

    def _next(self) -> None:
        """Takes the next folder, if there is one."""
        while not self._is_stopped:
            if not self._waiting:
                # Whoever leaves nothing behind shall not be held up by an idle connection, nor the collector.
                self._transport.disconnect()
                self._look_in(TAKE_OVER_EVERY_MS)
                return
            folder = self._waiting.popleft()
            try:
                path = claim_folder(self._files, self._directory, folder, this_process())
            except OSError as error:
                # Another user's, perhaps; the next one may be ours.
                self._broken.add(folder.name)
                self._report(f"holds {folder.name}, which cannot be claimed", str(error))
                continue
            if path is None:
                continue
            self._claimed = folder, path
            try:
                if self._begin(folder, path):
                    return
            except OSError as error:
                self._break(folder, path, error)

    def _begin(self, folder: SpoolFolder, path: str) -> bool:
        """Begins to deliver a folder; false if there is nothing to be sent of it. Raises OSError."""
        orphan = inspect_orphan(self._files, path, folder.producer_id)
        if orphan.damages:
            self._report(f"holds damage in {path}", "; ".join(orphan.damages))
        if orphan.producer is None and orphan.damages:
            set_aside(self._files, orphan)
            self._claimed = None
            return False
        self._sender = OrphanSender(
            orphan,
            settings=self._settings,
            endpoint=self._settings.endpoint.target,
            files=self._files,
            transport=self._transport,
            loop=self._thread,
            report=self._diagnostics.report,
            failed=lambda error: self._report(f"cannot be written or read in {path}", str(error)),
            # Later, because it ends what tells it.
            delivered=lambda: self._thread.post(lambda: self._on_delivered(folder, path)),
        )
        self._sender.start()
        return True

    def _on_delivered(self, folder: SpoolFolder, path: str) -> None:
        sender, self._sender = self._sender, None
        if sender is None or self._is_stopped:
            return
        sender.stop()
        try:
            sender.buffer.finish()
            self._give_back()
        except OSError as error:
            self._break(folder, path, error)
        self._next()

    def _break(self, folder: SpoolFolder, path: str, error: OSError) -> None:
        self._broken.add(folder_name(folder.producer_id))
        self._report(f"holds {path}, which cannot be delivered", str(error))
        self._give_back()

    def _give_back(self) -> None:
        """If it is still there."""
        claimed, self._claimed = self._claimed, None
        if claimed is not None and os.path.isdir(claimed[1]):
            give_back(self._files, self._directory, claimed[0].producer_id, claimed[1])

    def _report(self, what: str, message: str) -> None:
        self._diagnostics.report(
            "spool", lambda: f"the spool directory {self._directory} (spool_dir) {what}: {message}"
        )
