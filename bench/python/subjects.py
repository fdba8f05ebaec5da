"""What is compared: ways to log one event of 5 fields with a step, each as its documentation shows it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Protocol


class Subject(Protocol):
    """One way to log. Everything is called on one thread."""

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        """The call that is timed."""

    def counts(self) -> dict[str, Any]:
        """What it says of itself; None where it says nothing."""

    def flush(self, timeout_s: float) -> bool:
        """Whether everything is delivered."""

    def close(self) -> None: ...


class Sluice:
    def __init__(self, endpoint: str, run: str, directory: Path) -> None:
        import sluice

        # A collector that is down or hangs is what is asked for; the counters tell of it.
        self._log = sluice.init(
            endpoint=endpoint,
            project="bench",
            run=run,
            job="bench",
            on_diagnostic=lambda _: None,
        )
        self.event = self._log.event

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        self.event(
            "train.step", step=step, loss=loss, grad_norm=grad_norm, lr=lr, tokens=tokens, step_s=step_s
        )

    def counts(self) -> dict[str, Any]:
        stats = self._log.stats()
        return {
            "dropped": stats.dropped["buffer_full"],
            "acknowledged": stats.acknowledged,
            "calls": stats.calls,
            "bufferedBytes": stats.buffered_bytes,
        }

    def flush(self, timeout_s: float) -> bool:
        return self._log.flush(timeout=timeout_s).acknowledged

    def close(self) -> None:
        self._log.close(timeout=0)


class StandardLogging:
    """The standard library's logging, to a file."""

    def __init__(self, endpoint: str, run: str, directory: Path) -> None:
        handler = logging.FileHandler(directory / "job.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self._logger = logging.getLogger("train")
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        self._logger.info(
            "step=%d loss=%s grad_norm=%s lr=%s tokens=%d step_s=%s",
            step,
            loss,
            grad_norm,
            lr,
            tokens,
            step_s,
        )

    def counts(self) -> dict[str, Any]:
        return {}

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        logging.shutdown()


class OpenTelemetry:
    """OpenTelemetry's SDK: its logger, its batch processor, its OTLP exporter over gRPC, with their defaults."""

    def __init__(self, endpoint: str, run: str, directory: Path) -> None:
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.resources import Resource

        # It reports each failed export with a line of its own.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._provider = LoggerProvider(Resource.create({"service.name": "bench"}))
        exporter = OTLPLogExporter(endpoint=f"http://{endpoint}", insecure=True)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._logger = self._provider.get_logger("train")
        self._info = SeverityNumber.INFO

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        self._logger.emit(
            event_name="train.step",
            severity_number=self._info,
            attributes={
                "step": step,
                "loss": loss,
                "grad_norm": grad_norm,
                "lr": lr,
                "tokens": tokens,
                "step_s": step_s,
            },
        )

    def counts(self) -> dict[str, Any]:
        return {}

    def flush(self, timeout_s: float) -> bool:
        return bool(self._provider.force_flush(int(timeout_s * 1000)))

    def close(self) -> None:
        # Its own shutdown waits for the exporter's retries.
        return


class Wandb:
    """wandb in offline mode, with its defaults but for what it prints."""

    def __init__(self, endpoint: str, run: str, directory: Path) -> None:
        os.environ.update(WANDB_SILENT="true", WANDB_DIR=str(directory), WANDB_CONSOLE="off")
        import wandb

        self._run = wandb.init(project="bench", mode="offline", dir=str(directory))

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        self._run.log(
            {"loss": loss, "grad_norm": grad_norm, "lr": lr, "tokens": tokens, "step_s": step_s}, step=step
        )

    def counts(self) -> dict[str, Any]:
        return {}

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        self._run.finish(quiet=True)


class Nothing:
    """The loop and the clock alone."""

    def __init__(self, endpoint: str, run: str, directory: Path) -> None:
        return

    def log(self, step: int, loss: float, grad_norm: float, lr: float, tokens: int, step_s: float) -> None:
        return

    def counts(self) -> dict[str, Any]:
        return {}

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        return


SUBJECTS: dict[str, type[Subject]] = {
    "sluice": Sluice,
    "logging": StandardLogging,
    "opentelemetry": OpenTelemetry,
    "wandb": Wandb,
    "nothing": Nothing,
}
