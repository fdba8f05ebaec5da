"""Real tensors as values of fields."""

from __future__ import annotations

from tests.collector.conftest import Run


def test_tensors_without_dimensions_are_numbers_and_others_are_lists(run: Run) -> None:
    run.do(
        """
import torch
loss = torch.tensor(2.5, requires_grad=True) * 1
log.event("tensors", step=torch.tensor(7), loss=loss, half=torch.tensor(0.5, dtype=torch.float16),
    brain=torch.tensor(0.25, dtype=torch.bfloat16), count=torch.tensor(3), flag=torch.tensor(True),
    nan=torch.tensor(float("nan")), row=torch.tensor([1.0, 2.0]))
changed = torch.tensor(1.0)
log.event("changed", value=changed)
changed.add_(41)
log.metrics({"loss": loss.detach()}, step=8)
"""
    )
    run.stored(3)
    tensors, changed, metrics = run.rows("step, metrics, attributes", "ORDER BY sequence")
    assert tensors["step"] == 7
    nan = tensors["metrics"].pop("nan")
    assert nan is None or nan != nan
    assert tensors["metrics"] == {"loss": 2.5, "half": 0.5, "brain": 0.25, "count": 3}
    assert tensors["attributes"]["flag"] == "true"
    assert tensors["attributes"]["row"].replace(" ", "") in ("[1.0,2.0]", "[1,2]")
    # The value at the time of the call, whatever becomes of the tensor.
    assert changed["metrics"] == {"value": 1}
    assert metrics["metrics"] == {"loss": 2.5}


def test_a_dataloader_with_eight_workers_logs_from_each_of_them(run: Run) -> None:
    run.do(
        """
import torch
from torch.utils.data import DataLoader, Dataset
class Rows(Dataset):
    def __len__(self): return 400
    def __getitem__(self, at):
        log.event("data.item", step=at, worker=torch.utils.data.get_worker_info().id)
        return torch.tensor(float(at))
log.event("before")
for epoch in range(2):
    total = 0.0
    for step, batch in enumerate(DataLoader(Rows(), batch_size=10, num_workers=8)):
        total += float(batch.sum())
        log.event("train.step", step=step, loss=batch.mean())
    assert total == 79800.0
log.close(timeout=30)
"""
    )
    run.stored(1 + 2 * 400 + 2 * 40)
    assert run.rows("uniqExact(producer_id) AS n", "AND name = 'data.item'") == [{"n": 16}]
    assert run.rows("step", "AND name = 'data.item' GROUP BY step HAVING count() != 2") == []
