"""The same store and collector as for the tests beside these."""

from __future__ import annotations

import importlib.util

import pytest

from tests.collector.conftest import run, shared_collector, store

__all__ = ["run", "shared_collector", "store"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`npm run test:integrations` makes the environment that has it; elsewhere these tests say why they do not run."""
    if importlib.util.find_spec("torch") is None:
        for item in items:
            if "integrations" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="there is no torch: npm run test:integrations"))
