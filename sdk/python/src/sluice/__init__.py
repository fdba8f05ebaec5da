"""Sluice: the event log for fleets of machine-learning jobs."""

from __future__ import annotations

from sluice.version import SDK_VERSION as __version__

__all__ = ["__version__"]
