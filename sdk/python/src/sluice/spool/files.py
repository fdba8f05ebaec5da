"""The file system as a spool uses it: one small class, so that tests can let it fail. All of it blocks, and raises
OSError."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: Folders and files for their owner alone: events may hold what others should not read.
FOLDER_MODE = 0o700
FILE_MODE = 0o600

#: Buffers in one system call; Linux takes 1,024.
_BUFFERS_PER_WRITE = 512


class SpoolFiles:
    def make_folder(self, path: str) -> None:
        """And those above it that are missing."""
        try:
            os.mkdir(path, FOLDER_MODE)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        except FileNotFoundError:
            above = os.path.dirname(path)
            if above == path:
                raise
            self.make_folder(above)
            os.mkdir(path, FOLDER_MODE)

    def list(self, path: str) -> list[str]:
        """Names in a folder."""
        return os.listdir(path)

    def create(self, path: str) -> int:
        """A file that must not exist yet; its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def open_for_writing(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, file: int, buffers: Sequence[bytes], position: int) -> None:
        """Writes all of the buffers at a position."""
        rest = [memoryview(buffer) for buffer in buffers]
        while rest:
            written = _write_some(file, rest[:_BUFFERS_PER_WRITE], position)
            position += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        if hasattr(os, "fdatasync"):
            os.fdatasync(file)
        else:
            # macOS.
            os.fsync(file)

    def close(self, file: int) -> None:
        os.close(file)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_folder(self, path: str) -> None:
        os.rmdir(path)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def sync_folder(self, path: str) -> None:
        """Makes what was created, renamed or removed in a folder last."""
        folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_some(file: int, buffers: Sequence[memoryview], position: int) -> int:
    """Writes some of the buffers; how many bytes."""
    if hasattr(os, "pwritev"):
        return os.pwritev(file, buffers, position)
    # macOS before 11.
    return os.pwrite(file, buffers[0], position)


SYSTEM_FILES = SpoolFiles()
