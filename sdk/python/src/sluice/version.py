"""What the collector's `producers` table says about where a producer's events come from."""

from __future__ import annotations

SDK_NAME = "sluice-python"
SDK_VERSION = "0.1.0"
