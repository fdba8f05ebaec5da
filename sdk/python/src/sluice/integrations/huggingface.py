"""Hugging Face Transformers: what a `Trainer` logs, as events.

    from sluice.integrations.huggingface import SluiceCallback

    trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=[SluiceCallback()])

Set `report_to="none"` in the training's arguments if this is to be the only report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import sluice
from sluice.limits import INTEGRATION_FLUSH_S


class SluiceCallback(TrainerCallback):  # type: ignore[misc]
    """Logs what a `Trainer` logs, under the keys that it has there, with its global step.

    - `train.begin`: the training's arguments and the model's configuration as JSON, its parameters, `max_steps`.
    - `train.log`: loss, learning rate and what else the trainer logs every `logging_steps`.
    - `eval.log`: the metrics of an evaluation. `predict.log`: those of a prediction.
    - `train.checkpoint`: a checkpoint was saved; its `path`.
    - `train.end`: the closing figures, such as `train_runtime`; then everything is flushed, for at most 10 s.

    :param log: the logger; default: the one of the last `sluice.init()`, or one that this makes with its defaults.
    :param all_ranks: whether every process logs, or only the first of them, as the trainer's own reports do. Their
        figures are means over all ranks, so the first is enough.

    A failure in here never ends a training.
    """

    def __init__(self, log: sluice.Logger | None = None, *, all_ranks: bool = False) -> None:
        self._log = log
        self._all_ranks = all_ranks

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        if not self._is_wanted(state):
            return
        fields: dict[str, Any] = {"max_steps": state.max_steps, "epochs": args.num_train_epochs}
        # Whatever a subclass of these does: a training goes on without it.
        try:
            fields["arguments"] = args.to_sanitized_dict()
            config = getattr(model, "config", None)
            if config is not None:
                fields["model_type"] = getattr(config, "model_type", "")
                fields["config"] = config.to_dict()
            if model is not None:
                fields["model"] = type(model).__name__
                fields["parameters"] = sum(parameter.numel() for parameter in model.parameters())
        except Exception as error:
            fields["error"] = repr(error)
        self._event("train.begin", state, fields)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and self._is_wanted(state):
            self._event(_name_of(logs), state, logs)

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        # The trainer logs those of an evaluation itself, and these not.
        if self._is_wanted(state):
            self._event("predict.log", state, metrics)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._is_wanted(state):
            path = f"{args.output_dir}/checkpoint-{state.global_step}"
            self._event("train.checkpoint", state, {"path": path})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._is_wanted(state):
            self._logger().flush(timeout=INTEGRATION_FLUSH_S)

    def _is_wanted(self, state: TrainerState) -> bool:
        return self._all_ranks or bool(state.is_world_process_zero)

    def _logger(self) -> sluice.Logger:
        if self._log is None:
            self._log = sluice.default_logger() or sluice.init()
        return self._log

    def _event(self, name: str, state: TrainerState, fields: Mapping[str, Any]) -> None:
        self._logger().metrics(fields, step=state.global_step, name=name)


def _name_of(logs: Mapping[str, Any]) -> str:
    if "train_runtime" in logs:
        return "train.end"
    if any(key.startswith("eval_") for key in logs):
        return "eval.log"
    return "train.log"
