"""`sluice-sync` and `python -m sluice sync`: delivers what jobs left in a spool directory, once each; one line a
producer."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from sluice.options import DEFAULT_SPOOL_DIR
from sluice.spool.sync import DEFAULT_TIMEOUT_MS, SyncedProducer, SyncResult, sync_spool
from sluice.version import SDK_VERSION

#: As the collector's own commands: not everything was done; the command line is wrong; there is nothing to work on.
FAILED = 1
USAGE = 2
UNUSABLE = 6

_TITLES = ("producer", "project", "run", "rank", "events", "delivered", "lost", "state")
_RIGHT = ("rank", "events", "delivered", "lost")


def main(arguments: Sequence[str] | None = None, program: str = "sluice-sync") -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        program, description="Delivers what jobs left in a spool directory, once each."
    )
    parser.add_argument(
        "directory",
        nargs="?",
        metavar="DIR",
        help=f"the directory that the jobs have as spool_dir. SLUICE_SPOOL_DIR; default ./{DEFAULT_SPOOL_DIR}",
    )
    parser.add_argument(
        "--endpoint",
        metavar="HOST:PORT",
        help="where the collector is. SLUICE_ENDPOINT; default 127.0.0.1:4317",
    )
    parser.add_argument(
        "--other-hosts",
        action="store_true",
        help="take what processes on other hosts and in other containers left too; they must be gone",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_MS / 1000,
        metavar="SECONDS",
        help="give up after so long without progress; 0: never; default 30",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line and producer, as it is done"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {SDK_VERSION}")
    given = parser.parse_args(arguments)

    from_environment = os.environ.get("SLUICE_SPOOL_DIR", "").strip()
    directory = given.directory or from_environment or DEFAULT_SPOOL_DIR
    cancelled = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: cancelled.set())
    try:
        result = sync_spool(
            directory,
            endpoint=given.endpoint,
            other_hosts=given.other_hosts,
            timeout_ms=round(given.timeout * 1000),
            cancelled=cancelled,
            on_producer=_print_json if given.json else lambda producer: None,
            on_progress=_print_progress,
            on_diagnostic=lambda diagnostic: print(f"sluice: {diagnostic.message}", file=sys.stderr),
        )
    except ValueError as error:
        print(f"sluice: {error}; change it with --endpoint", file=sys.stderr)
        return USAGE
    except FileNotFoundError:
        if not given.directory and not from_environment:
            print(f"There is no spool directory {directory}: nothing to deliver. Another one: {program} DIR")
            return 0
        where = "give the one that the jobs have as spool_dir (SLUICE_SPOOL_DIR)"
        print(f"sluice: there is no directory {directory}; {where}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"sluice: the directory {directory} cannot be read: {error}", file=sys.stderr)
        return UNUSABLE
    if not given.json:
        _print_table(directory, result)
    return _conclude(program, directory, result, given)


def _conclude(program: str, directory: str, result: SyncResult, given: argparse.Namespace) -> int:
    producers = result.producers
    damaged = sum(producer.state == "damaged" for producer in producers)
    if result.is_complete:
        if damaged == 0:
            return 0
        print(
            f"sluice: the spool of {damaged} of {len(producers)} producers is damaged: what is sound was delivered, "
            f"numbers that are known are rows in losses (spool_damaged), the files are kept in {directory}",
            file=sys.stderr,
        )
        return FAILED
    left = [producer for producer in producers if producer.state in ("left", "unreadable", "other host")]
    has_others = any(producer.state == "other host" for producer in left)
    again = [program, shlex.quote(directory)]
    if given.endpoint is not None:
        again.append(f"--endpoint {given.endpoint}")
    if given.other_hosts or has_others:
        again.append("--other-hosts")
    if given.timeout * 1000 != DEFAULT_TIMEOUT_MS:
        again.append(f"--timeout {given.timeout:g}")
    when = "Again:"
    if has_others:
        when = "If the processes on other hosts are gone:"
    elif any("UNAVAILABLE" in producer.detail for producer in left):
        when = "Start a collector, or say where one is with --endpoint HOST:PORT. Then:"
    print(
        f"sluice: not everything was delivered; {len(left)} of {len(producers)} producers are left in {directory}\n"
        f"{when}\n  {' '.join(again)}",
        file=sys.stderr,
    )
    return FAILED


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 1,000,000")
    return seconds


def _print_json(producer: SyncedProducer) -> None:
    print(json.dumps(producer._asdict(), ensure_ascii=False), flush=True)


def _print_progress(run: str, delivered: int, events: int) -> None:
    if sys.stderr.isatty():
        print(f"run {run}: {delivered} of {events} events", file=sys.stderr)


def _print_table(directory: str, result: SyncResult) -> None:
    if not result.producers:
        print(f"{directory} holds nothing to deliver.")
        return
    rows = [_TITLES, *map(_row, result.producers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row in rows:
        cells = [
            cell.rjust(width) if title in _RIGHT else cell.ljust(width)
            for cell, width, title in zip(row, widths, _TITLES)
        ]
        print("  ".join(cells).rstrip())
    for producer in result.producers:
        if producer.detail:
            print(f"{producer.producer_id}: {producer.detail}")


def _row(producer: SyncedProducer) -> tuple[str, ...]:
    # Folders that were not opened tell nothing but whose they are.
    if producer.run == "":
        return (producer.producer_id, *[""] * 6, producer.state)
    numbers = (producer.rank, producer.events, producer.delivered, producer.lost)
    return (producer.producer_id, producer.project, producer.run, *map(str, numbers), producer.state)


if __name__ == "__main__":
    sys.exit(main())
