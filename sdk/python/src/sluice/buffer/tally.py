"""How many events of each severity there are."""

from __future__ import annotations

from sluice.encode.columns import Columns
from sluice.encode.head import SEVERITY_MAX


class Tally:
    """Events and their bytes, by severity."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self.counts = [0] * (SEVERITY_MAX + 1)
        self.severity_bytes = [0] * (SEVERITY_MAX + 1)

    def add(self, columns: Columns) -> None:
        severities = columns.severities
        if severities is None:
            self.change(columns.severity, columns.rows, columns.size_bytes)
            return
        for row, severity in enumerate(severities):
            self.change(severity, 1, columns.row_size(row))

    def change(self, severity: int, events: int, size: int) -> None:
        """So many events more, or fewer."""
        self.events += events
        self.bytes += size
        self.counts[severity] += events
        self.severity_bytes[severity] += size

    def remove_all(self, other: Tally) -> None:
        for severity, events in enumerate(other.counts):
            if events:
                self.change(severity, -events, -other.severity_bytes[severity])

    def lowest(self) -> int:
        """The lowest severity that there is an event of; more than all of them, if there is none."""
        return next((severity for severity, events in enumerate(self.counts) if events), SEVERITY_MAX + 1)
