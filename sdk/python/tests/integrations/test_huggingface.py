"""A real Trainer trains a small BERT, and logs through the callback."""

from __future__ import annotations

import json

from tests.collector.conftest import Run

TRAINING = """
import sys, torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from sluice.integrations.huggingface import SluiceCallback

class Parity(torch.utils.data.Dataset):
    '''Rows of eight tokens; the label says whether the first two are the same.'''
    def __init__(self, rows, seed):
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(1, 5, (rows, 8), generator=generator)
    def __len__(self):
        return len(self.tokens)
    def __getitem__(self, at):
        tokens = self.tokens[at]
        return {"input_ids": tokens, "labels": int(tokens[0] == tokens[1])}

config = BertConfig(vocab_size=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
arguments = TrainingArguments(
    output_dir=sys.argv[1] if len(sys.argv) > 1 else "FOLDER",
    num_train_epochs=2, per_device_train_batch_size=16, logging_steps=5, save_steps=20,
    evaluation_strategy="epoch", learning_rate=1e-3, report_to="none", disable_tqdm=True, use_cpu=True,
    dataloader_num_workers=2,
)
trainer = Trainer(
    model=BertForSequenceClassification(config), args=arguments, callbacks=[SluiceCallback()],
    train_dataset=Parity(320, 0), eval_dataset=Parity(64, 1),
)
trainer.train()
trainer.predict(Parity(16, 2))
print(trainer.state.global_step)
"""


def test_what_a_trainer_logs_is_there_with_its_step(run: Run, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("trainer")  # type: ignore[attr-defined]
    finished = run.do(TRAINING.replace("FOLDER", str(folder)))
    assert finished.out.splitlines()[-1] == "40"
    run.settled()
    names = {row["name"]: row["n"] for row in run.rows("name, count() AS n", "GROUP BY name")}
    assert names == {
        "train.begin": 1,
        "train.log": 8,
        "eval.log": 2,
        "train.checkpoint": 2,
        "train.end": 1,
        "predict.log": 1,
    }
    logs = run.rows("step, metrics", "AND name = 'train.log' ORDER BY sequence")
    assert [row["step"] for row in logs] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert {"loss", "learning_rate", "epoch", "grad_norm"} <= set(logs[0]["metrics"])
    assert all(0 < row["metrics"]["loss"] < 5 for row in logs)
    (begin,) = run.rows("metrics, attributes", "AND name = 'train.begin'")
    assert begin["metrics"]["max_steps"] == 40
    assert begin["metrics"]["parameters"] > 1000
    assert begin["attributes"]["model"] == "BertForSequenceClassification"
    assert json.loads(begin["attributes"]["config"])["hidden_size"] == 32
    assert json.loads(begin["attributes"]["arguments"])["logging_steps"] == 5
    evaluations = run.rows("step, metrics", "AND name = 'eval.log' ORDER BY sequence")
    assert [row["step"] for row in evaluations] == [20, 40]
    assert "eval_loss" in evaluations[0]["metrics"]
    paths = run.rows("attributes['path'] AS path", "AND name = 'train.checkpoint' ORDER BY sequence")
    assert [row["path"].rsplit("/", 1)[1] for row in paths] == ["checkpoint-20", "checkpoint-40"]


def test_a_process_that_is_not_the_first_logs_nothing_unless_asked_to(run: Run) -> None:
    run.do(
        """
from transformers import TrainerControl, TrainerState, TrainingArguments
from sluice.integrations.huggingface import SluiceCallback
arguments = TrainingArguments(output_dir="/nowhere", report_to="none", use_cpu=True)
state = TrainerState(is_world_process_zero=False, global_step=7)
for callback in (SluiceCallback(log), SluiceCallback(log, all_ranks=True)):
    callback.on_log(arguments, state, TrainerControl(), logs={"loss": 1.5})
"""
    )
    run.stored(1)
    assert run.rows("step, metrics") == [{"step": 7, "metrics": {"loss": 1.5}}]


def test_a_model_that_cannot_be_described_does_not_end_the_training(run: Run) -> None:
    run.do(
        """
from transformers import TrainerControl, TrainerState, TrainingArguments
from sluice.integrations.huggingface import SluiceCallback
class Model:
    @property
    def config(self): raise RuntimeError("no configuration")
arguments = TrainingArguments(output_dir="/nowhere", report_to="none", use_cpu=True)
SluiceCallback(log).on_train_begin(arguments, TrainerState(), TrainerControl(), model=Model())
"""
    )
    run.stored(1)
    assert "no configuration" in run.rows("attributes['error'] AS error")[0]["error"]
