"""How the SDK says that something is wrong."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import partial
from typing import NoReturn

import pytest

from sluice.diagnostics import Diagnostic, Diagnostics, write_line

from .support.collector_process import environment


def test_each_kind_is_reported_once_in_ten_minutes_and_the_rest_counted() -> None:
    now_s = 0.0
    reported: list[Diagnostic] = []
    diagnostics = Diagnostics(reported.append, lambda: now_s)
    for index in range(5):
        diagnostics.report("spool", partial("message {}".format, index))
    diagnostics.report("refused", lambda: "other")
    now_s = 600.0
    diagnostics.report("spool", lambda: "again")
    assert reported == [
        Diagnostic("spool", "message 0", 0),
        Diagnostic("refused", "other", 0),
        Diagnostic("spool", "again", 4),
    ]


def test_a_message_that_is_not_shown_is_not_made() -> None:
    diagnostics = Diagnostics(lambda diagnostic: None)
    diagnostics.report("bug", lambda: "shown")
    diagnostics.report("bug", lambda: pytest.fail("made for nothing"))


def test_neither_a_callback_nor_a_message_that_raises_reaches_the_caller() -> None:
    def fail(_: object = None) -> NoReturn:
        raise RuntimeError("no")

    Diagnostics(fail).report("bug", lambda: "text")
    Diagnostics(lambda diagnostic: None).report("bug", fail)


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    write_line(Diagnostic("unreachable", "nobody there", 0))
    write_line(Diagnostic("unreachable", "nobody there", 3))
    assert capsys.readouterr().err == (
        "sluice: unreachable: nobody there\nsluice: unreachable: nobody there (and 3 more like it)\n"
    )


def test_a_standard_error_that_is_closed_or_gone_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stderr in (closed, None):
        monkeypatch.setattr(sys, "stderr", stderr)
        write_line(Diagnostic("bug", "text", 0))


def test_what_stands_in_for_standard_error_gets_the_line_whatever_it_says_of_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Notebook(io.StringIO):
        def fileno(self) -> int:
            return 2

    notebook = Notebook()
    monkeypatch.setattr(sys, "stderr", notebook)
    write_line(Diagnostic("bug", "text", 0))
    monkeypatch.setattr(sys, "__stderr__", notebook)
    write_line(Diagnostic("bug", "text", 0))
    assert notebook.getvalue() == "sluice: bug: text\n" * 2


def test_a_line_on_the_own_standard_error_is_in_its_encoding() -> None:
    code = "from sluice.diagnostics import *; write_line(Diagnostic('bug', '\\xe4 and \\u65e5', 0))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONIOENCODING="latin-1"), capture_output=True
    )
    assert done.stderr.splitlines() == [b"sluice: bug: \xe4 and \\u65e5"]
