"""PyTorch Lightning: a `Logger` that logs events.

    from sluice.integrations.lightning import SluiceLogger

    trainer = Trainer(logger=SluiceLogger(project="mnist"))

Works with `lightning` (its `lightning.pytorch`) and with `pytorch_lightning`.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sluice
from sluice.limits import INTEGRATION_FLUSH_S

if TYPE_CHECKING:
    Base = object
    rank_zero_only: Any = None
else:
    try:
        from lightning.pytorch.loggers.logger import Logger as Base
        from lightning.pytorch.utilities.rank_zero import rank_zero_only
    except ImportError:
        from pytorch_lightning.loggers.logger import Logger as Base
        from pytorch_lightning.utilities.rank_zero import rank_zero_only


CHECKPOINT_PATHS = ("_last_checkpoint_saved", "last_model_path", "best_model_path")
#: The variable in which the processes of a distributed training find the run.
RUN_VARIABLE = "SLUICE_RUN"
#: What was written there by this process.
_told: list[str] = []


class SluiceLogger(Base):
    """Logs what a `LightningModule` logs.

    - `train.log`: the metrics of a call of `log()`, under their keys, with Lightning's global step.
    - `train.hyperparameters`: what `save_hyperparameters()` saved, one field each; nested ones as JSON.
    - `train.checkpoint`: a checkpoint was saved; its `path`, and `score` if it has one.
    - `train.end`: the training's `status`, such as `success` or `failed`; then everything is flushed, for at most 10 s.

    :param log: the logger; default: one that is made with the other options, those of `sluice.init()`; without any, the
        one of the last `sluice.init()`.
    :param all_ranks: whether every process logs, or only the first of them, as Lightning's own loggers do.

    Lightning puts checkpoints into a folder named after `name` and `version`: these are the project and the run. It
    starts the other ranks of a machine by running the program again, and these find the run in the variable SLUICE_RUN,
    which is set for them, and their rank where Lightning keeps it, if this makes the logger. May be sent to another
    process, which then has a logger of its own, of the same run.
    """

    def __init__(self, log: sluice.Logger | None = None, *, all_ranks: bool = False, **options: Any) -> None:
        super().__init__()
        if os.environ.get(RUN_VARIABLE) in _told:
            # Of another training in this process, which this one is not.
            del os.environ[RUN_VARIABLE]
        self._all_ranks = all_ranks
        self._log = log or (None if options else sluice.default_logger()) or _make(options)
        if not os.environ.get(RUN_VARIABLE):
            os.environ[RUN_VARIABLE] = self._log.run
            _told.append(self._log.run)

    @property
    def experiment(self) -> sluice.Logger:
        """The logger, for events of one's own: `self.logger.experiment.event("sample", text=text)`."""
        return self._log

    @property
    def name(self) -> str:
        """The project."""
        return self.experiment.project

    @property
    def version(self) -> str:
        """The run."""
        return self.experiment.run

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if self._is_wanted():
            self.experiment.metrics(metrics, step=step, name="train.log")

    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace | None = None, *args: Any, **kwargs: Any
    ) -> None:
        if params is None or not self._is_wanted():
            return
        fields = vars(params) if isinstance(params, Namespace) else params
        self.experiment.metrics(dict(fields), name="train.hyperparameters")

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        if not self._is_wanted():
            return
        # The newest is in a private attribute; without it, the best is.
        paths = (getattr(checkpoint_callback, name, "") for name in CHECKPOINT_PATHS)
        fields = {
            "path": next((path for path in paths if path), ""),
            "score": getattr(checkpoint_callback, "current_score", None),
        }
        self.experiment.metrics(fields, name="train.checkpoint")

    def finalize(self, status: str) -> None:
        if self._is_wanted():
            self.experiment.event("train.end", status=status)
            self.experiment.flush(timeout=INTEGRATION_FLUSH_S)

    def save(self) -> None:
        """Nothing to do: what is logged is on its way."""

    def _is_wanted(self) -> bool:
        return self._all_ranks or not _rank()


def _rank() -> int | None:
    """As far as Lightning knows: it looks for more variables than Sluice does, and sets it when a training begins."""
    rank = getattr(rank_zero_only, "rank", None)
    return rank if isinstance(rank, int) else None


def _make(options: dict[str, Any]) -> sluice.Logger:
    rank = _rank()
    return sluice.init(**{**({} if rank is None else {"rank": rank}), **options})
