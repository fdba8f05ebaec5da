"""What the environment says about this process: Sluice's own variables, torchrun's, Open MPI's and SLURM's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sluice.limits import ATTEMPT_MAX, UINT32_MAX

#: `offline`: nothing is sent, everything goes to the spool.
Mode = Literal["online", "offline"]
#: How events are sent: as `EventBlock`s, or each as an `Event`.
Encoding = Literal["blocks", "rows"]

MODES: tuple[Mode, ...] = ("online", "offline")
ENCODINGS: tuple[Encoding, ...] = ("blocks", "rows")

#: Rank, local rank and world size, by who starts ranks, the most precise first: torchrun runs inside a SLURM step,
#: and so does mpirun, and then SLURM's numbers are those of the launcher. All three are taken from the first that
#: names a rank, so that a rank of one never meets the world size of another.
_LAUNCHERS = (
    ("RANK", "LOCAL_RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
)


@dataclass
class Environment:
    """What it does not say is None."""

    endpoint: str | None = None
    project: str | None = None
    run: str | None = None
    job: str | None = None
    rank: int | None = None
    local_rank: int | None = None
    world_size: int | None = None
    attempt: int | None = None
    spool_dir: str | None = None
    mode: Mode | None = None
    encoding: Encoding | None = None
    #: One sentence for each variable that was ignored.
    warnings: list[str] = field(default_factory=list)


def resolve_environment(variables: Mapping[str, str]) -> Environment:
    """Pure; never raises."""
    read = _Variables(variables)
    text = read.text
    environment = Environment(
        endpoint=text("SLUICE_ENDPOINT"),
        project=text("SLUICE_PROJECT"),
        run=text("SLUICE_RUN") or _torchrun_run(read) or _slurm_run(read),
        job=text("SLUICE_JOB"),
        spool_dir=text("SLUICE_SPOOL_DIR"),
        warnings=read.warnings,
    )
    mode = read.one_of("SLUICE_MODE", MODES)
    environment.mode = next((each for each in MODES if each == mode), None)
    encoding = read.one_of("SLUICE_ENCODING", ENCODINGS)
    environment.encoding = next((each for each in ENCODINGS if each == encoding), None)
    for rank_name, local_rank_name, world_size_name in _LAUNCHERS:
        rank = read.whole(rank_name, 0, UINT32_MAX)
        if rank is None:
            continue
        environment.rank = rank
        environment.local_rank = read.whole(local_rank_name, 0, UINT32_MAX)
        environment.world_size = read.whole(world_size_name, 1, UINT32_MAX)
        break
    # A job that SLURM requeued starts torchrun anew, whose own count then begins at 0 again.
    names = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    restarts = [count for count in (read.whole(name, 0, ATTEMPT_MAX) for name in names) if count is not None]
    if restarts:
        environment.attempt = min(sum(restarts), ATTEMPT_MAX)
    return environment


class _Variables:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.warnings: list[str] = []

    def text(self, name: str) -> str | None:
        return self._variables.get(name, "").strip() or None

    def whole(self, name: str, low: int, high: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        # Not isdigit(), which takes ² for a digit, nor int(), which takes "1_0". Twenty digits are more than enough.
        if value.isascii() and value.isdigit() and len(value) <= 20 and low <= int(value) <= high:
            return int(value)
        self._ignore(name, value, f"a whole number from {low} to {high}")
        return None

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None or value in words:
            return value
        self._ignore(name, value, " or ".join(words))
        return None

    def _ignore(self, name: str, value: str, allowed: str) -> None:
        self.warnings.append(
            f"environment variable {name} is {json.dumps(value[:100])}; ignored, it must be {allowed}"
        )


def _torchrun_run(read: _Variables) -> str | None:
    run = read.text("TORCHELASTIC_RUN_ID")
    # What torchrun says when nobody named the run: the same for all of them, so no name at all.
    return None if run == "none" else run


def _slurm_run(read: _Variables) -> str | None:
    array, task = read.text("SLURM_ARRAY_JOB_ID"), read.text("SLURM_ARRAY_TASK_ID")
    # As squeue and sacct print a task of an array.
    if array is not None and task is not None:
        return f"{array}_{task}"
    return read.text("SLURM_JOB_ID")
