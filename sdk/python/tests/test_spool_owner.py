from __future__ import annotations

import os
import threading
from pathlib import Path

from sluice.spool.claim import SpoolFolder, claim_folder, list_folders
from sluice.spool.files import SYSTEM_FILES
from sluice.spool.format import folder_name
from sluice.spool.owner import judge, parse_owner, this_process

ME = this_process()


def gone() -> int:
    """The id of a process that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_an_owner_is_read_as_it_is_written() -> None:
    assert parse_owner(str(ME)) == ME
    for text in ("", "h@b", "h@g@1@2@3", "h@ab@1@0@3", "h@ab@1@2@3@4", "../x@ab@1@2@3", "h@ab@1@2@3\n"):
        assert parse_owner(text) is None, text


def test_a_process_lives_if_its_id_and_its_start_time_are_those_of_one() -> None:
    assert judge(ME, ME) == "alive"
    # Somebody else's id, or the same id at another time.
    assert judge(ME._replace(start=f"{ME.start}1"), ME) == "dead"
    assert judge(ME._replace(pid=gone(), start="1"), ME) == "dead"
    assert judge(ME._replace(pid=os.getppid(), start="0"), ME) == "alive"
    assert judge(ME._replace(pid=9_999_999_999), ME) in ("alive", "dead"), "no process can have it"


def test_a_zombie_is_dead() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert judge(ME._replace(pid=pid, start="1"), ME) == "dead"
    os.waitpid(pid, 0)


def test_a_process_of_an_earlier_boot_is_dead_and_one_of_another_host_or_container_cannot_be_judged() -> None:
    assert judge(ME._replace(boot="abc"), ME) == "dead"
    assert judge(ME._replace(host="another"), ME) == "elsewhere"
    assert judge(ME._replace(namespace="1"), ME) == "elsewhere"
    assert judge(None, ME) == "elsewhere"


def test_of_many_that_claim_a_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    for round in range(20):
        (tmp_path / folder_name(bytes([round] * 16), str(ME._replace(boot="abc")))).mkdir()
        (folder,) = list_folders(SYSTEM_FILES, str(tmp_path), ME)
        assert folder.state == "dead"
        barrier = threading.Barrier(8)
        claims: list[str | None] = []

        def claim(
            index: int,
            barrier: threading.Barrier = barrier,
            claims: list[str | None] = claims,
            folder: SpoolFolder = folder,
        ) -> None:
            barrier.wait()
            claims.append(claim_folder(SYSTEM_FILES, str(tmp_path), folder, ME._replace(pid=1000 + index)))

        threads = [threading.Thread(target=claim, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([path for path in claims if path is not None]) == 1
        (left,) = tmp_path.iterdir()
        left.rmdir()
