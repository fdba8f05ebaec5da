"""PyTorch Lightning: a `Logger` that logs events.

    from sluice.integrations.lightning import SluiceLogger

    trainer = Trainer(logger=SluiceLogger(project="mnist"))

Works with `lightning` (its `lightning.pytorch`) and with `pytorch_lightning`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sluice
from sluice.limits import INTEGRATION_FLUSH_S

if TYPE_CHECKING:
    Base = object
else:
    try:
        from lightning.pytorch.loggers.logger import Logger as Base
        from lightning.pytorch.utilities.rank_zero import rank_zero_only
    except ImportError:
        from pytorch_lightning.loggers.logger import Logger as Base
        from pytorch_lightning.utilities.rank_zero import rank_zero_only


class SluiceLogger(Base):
    """Logs what a `LightningModule` logs.

    - `train.log`: the metrics of a call of `log()`, under their keys, with Lightning's global step.
    - `train.hyperparameters`: what `save_hyperparameters()` saved, one field each; nested ones as JSON.
    - `train.checkpoint`: a checkpoint was saved; its `path`, and `score` if it has one.
    - `train.end`: the training's `status`, such as `success` or `failed`; then everything is flushed, for at most 10 s.

    :param log: the logger; default: one that is made with the other options, those of `sluice.init()`, when it is
        first used; without any, the one of the last `sluice.init()`.
    :param all_ranks: whether every process logs, or only the first of them, as Lightning's own loggers do.

    Lightning puts checkpoints into a folder named after `name` and `version`: these are the project and the run. May
    be sent to another process, which then makes a logger of its own, with the same run.
    """

    def __init__(self, log: sluice.Logger | None = None, *, all_ranks: bool = False, **options: Any) -> None:
        super().__init__()
        self._log = log
        self._all_ranks = all_ranks
        self._options = options

    @property
    def experiment(self) -> sluice.Logger:
        """The logger, for events of one's own: `self.logger.experiment.event("sample", text=text)`."""
        if self._log is None:
            default = None if self._options else sluice.default_logger()
            self._log = default or sluice.init(**self._options)
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
        fields = {
            "path": getattr(checkpoint_callback, "last_model_path", "")
            or getattr(checkpoint_callback, "best_model_path", ""),
            "score": getattr(checkpoint_callback, "current_score", None),
        }
        self.experiment.metrics(fields, name="train.checkpoint")

    def finalize(self, status: str) -> None:
        if self._is_wanted():
            self.experiment.event("train.end", status=status)
            self.experiment.flush(timeout=INTEGRATION_FLUSH_S)

    def save(self) -> None:
        """Nothing to do: what is logged is on its way."""

    def __getstate__(self) -> dict[str, Any]:
        # A logger belongs to its process; another one makes its own, of the same run and project.
        state = dict(self.__dict__)
        if self._log is not None:
            state["_options"] = {**self._options, "project": self._log.project, "run": self._log.run}
            state["_log"] = None
        return state

    def _is_wanted(self) -> bool:
        return self._all_ranks or getattr(rank_zero_only, "rank", 0) in (0, None)
