"""The collector and the store that the tests of this folder use are there, and count as they should."""

from __future__ import annotations

from tests.collector.conftest import Run
from tests.support.processes import Store


def test_the_real_store_answers_sql(store: Store) -> None:
    assert store.row("SELECT 1 AS one") == {"one": 1}


def test_a_run_without_events_counts_none(run: Run) -> None:
    assert run.counted() == (0, 0, 0, 0, 0)
