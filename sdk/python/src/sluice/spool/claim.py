"""Which producers' folders lie in a spool directory, and how one of them changes hands.

1. A folder's name says who owns it, so that taking it is one rename of exactly that name: of any number of processes
   that try at once, one succeeds and the others find nothing to rename.
2. A folder whose owner lives, or cannot be judged from here, is never taken unasked.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from .files import SpoolFiles
from .format import folder_name, parse_folder_name
from .owner import Life, Owner, judge, parse_owner


class SpoolFolder(NamedTuple):
    #: Its name in the spool directory.
    name: str
    producer_id: bytes
    owner: Owner | None
    #: `released`: its owner gave it up in order.
    state: Life | Literal["released"]


def list_folders(files: SpoolFiles, directory: str, me: Owner) -> list[SpoolFolder]:
    """All producers' folders, the oldest producer first (their ids are UUIDv7). Raises OSError."""
    folders = []
    for name in sorted(files.list(directory)):
        parsed = parse_folder_name(name)
        if parsed is None:
            continue
        producer_id, text = parsed
        owner = None if text is None else parse_owner(text)
        folders.append(
            SpoolFolder(name, producer_id, owner, "released" if text is None else judge(owner, me))
        )
    return folders


def claim_folder(files: SpoolFiles, directory: str, folder: SpoolFolder, me: Owner) -> str | None:
    """Takes a folder; its new path, or None if somebody else was faster. Raises OSError."""
    path = os.path.join(directory, folder_name(folder.producer_id, str(me)))
    try:
        files.rename(os.path.join(directory, folder.name), path)
    except FileNotFoundError:
        return None
    return path


def give_back(files: SpoolFiles, directory: str, producer_id: bytes, path: str) -> None:
    """Frees a folder that was claimed, if it is still there."""
    try:
        files.rename(path, os.path.join(directory, folder_name(producer_id)))
    except OSError:
        pass  # Then it is free when this process is gone.
