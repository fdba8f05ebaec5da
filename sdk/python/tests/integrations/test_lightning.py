"""A real Lightning Trainer trains a small network, and logs through the logger: with both of the package's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.conftest import Run

TRAINING = """
import warnings; warnings.filterwarnings("ignore")
import logging; logging.getLogger("PACKAGE").setLevel(logging.ERROR)
import torch
import PACKAGE as pl
from sluice.integrations.lightning import SluiceLogger

class Line(pl.LightningModule):
    def __init__(self, lr=0.1, layers=(1, 1)):
        super().__init__()
        self.save_hyperparameters()
        self.line = torch.nn.Linear(1, 1)
    def training_step(self, batch, at):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.line(x), y)
        self.log("loss", loss)
        return loss
    def validation_step(self, batch, at):
        x, y = batch
        self.log("val_loss", torch.nn.functional.mse_loss(self.line(x), y))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

torch.manual_seed(0)
x = torch.rand(160, 1) * 2 - 1
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 3 * x + 1), batch_size=8)
logger = SluiceLogger(LOGGER)
trainer = pl.Trainer(
    max_epochs=2, logger=logger, accelerator="cpu", log_every_n_steps=5, enable_progress_bar=False,
    enable_model_summary=False, default_root_dir="FOLDER", DEVICES
)
trainer.fit(Line(), data, data)
logger.experiment.event("sample", text="a line")
print(logger.name, logger.version)
"""


def training(package: str, folder: Path, logger: str = "", devices: str = "devices=1") -> str:
    replaced = {"PACKAGE": package, "FOLDER": str(folder), "LOGGER": logger, "DEVICES": devices}
    script = TRAINING
    for word, text in replaced.items():
        script = script.replace(word, text)
    return script


@pytest.mark.parametrize("package", ["pytorch_lightning", "lightning.pytorch"])
def test_what_a_module_logs_is_there_with_its_step(run: Run, package: str, tmp_path: Path) -> None:
    finished = run.do(training(package, tmp_path))
    assert finished.out.splitlines()[-1] == f"tests {run.name}"
    run.settled()
    logs = run.rows(
        "step, metrics", "AND name = 'train.log' AND mapContains(metrics, 'loss') ORDER BY sequence"
    )
    assert [row["step"] for row in logs] == [4, 9, 14, 19, 24, 29, 34, 39]
    assert logs[-1]["metrics"]["loss"] < logs[0]["metrics"]["loss"]
    validations = run.rows(
        "step", "AND name = 'train.log' AND mapContains(metrics, 'val_loss') ORDER BY sequence"
    )
    assert [row["step"] for row in validations] == [19, 39]
    (parameters,) = run.rows("metrics, attributes", "AND name = 'train.hyperparameters'")
    assert parameters == {"metrics": {"lr": 0.1}, "attributes": {"layers": "[1,1]"}}
    (end,) = run.rows("attributes", "AND name = 'train.end'")
    assert end["attributes"] == {"status": "success"}
    assert run.rows("attributes['text'] AS text", "AND name = 'sample'") == [{"text": "a line"}]
    checkpoints = run.rows("attributes['path'] AS path", "AND name = 'train.checkpoint'")
    assert checkpoints
    # The checkpoints lie under the project and the run, where Lightning puts those of its own loggers.
    assert all(f"/tests/{run.name}/checkpoints/" in row["path"] for row in checkpoints)
    assert all(Path(row["path"]).is_absolute() for row in checkpoints)


def test_options_make_a_logger_of_its_own(run: Run, tmp_path: Path) -> None:
    finished = run.do(training("pytorch_lightning", tmp_path, 'project="lines", job="fit"'))
    assert finished.out.splitlines()[-1] == f"lines {run.name}"
    run.settled()
    assert run.rows("DISTINCT project, job") == [{"project": "lines", "job": "fit"}]


def test_two_processes_of_a_distributed_training_log_once_or_each_if_asked_to(
    run: Run, tmp_path: Path
) -> None:
    script = tmp_path / "job.py"
    body = training("pytorch_lightning", tmp_path, "all_ranks=True", 'devices=2, strategy="ddp"')
    script.write_text(body)
    # Nobody names the run: the second rank has to find that of the first.
    finished = run.finish(run.script(script, {"SLUICE_RUN": ""}))
    assert finished.code == 0, finished
    run.name = finished.out.split()[-1]
    run.settled()
    steps = run.rows(
        "rank, count() AS n",
        "AND name = 'train.log' AND mapContains(metrics, 'loss') GROUP BY rank ORDER BY rank",
    )
    assert [row["rank"] for row in steps] == [0, 1]
    assert steps[0]["n"] == steps[1]["n"]


def test_two_trainings_in_one_process_are_two_runs_unless_it_is_named(run: Run) -> None:
    script = """
from sluice.integrations.lightning import SluiceLogger
print(len({SluiceLogger(job="fit").version for _ in range(3)}))
"""
    assert run.do(script, {"SLUICE_RUN": ""}).out == "3\n"
    assert run.do(script).out == "1\n"


def test_a_logger_that_is_sent_to_another_process_logs_to_the_same_run(run: Run) -> None:
    run.do(
        """
import pickle
from sluice.integrations.lightning import SluiceLogger
first = SluiceLogger(job="fit")
first.log_metrics({"loss": 1.0}, step=1)
second = pickle.loads(pickle.dumps(first))
second.log_metrics({"loss": 2.0}, step=2)
assert second.version == first.version
"""
    )
    run.stored(2)
    assert run.rows("DISTINCT job") == [{"job": "fit"}]
