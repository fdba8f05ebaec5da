"""Trains a small network on scikit-learn's handwritten digits, on every rank that torchrun starts.

    torchrun --standalone --nproc_per_node 2 examples/pytorch/train.py

Needs torch and scikit-learn, and a collector (`npx sluice up`). Rank, world size, host and attempt are found by
Sluice itself; all ranks log to one run because they are given one name. What to ask then stands in questions.sql.
"""

from __future__ import annotations

import argparse
import os
import time

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import sluice


def datasets() -> tuple[TensorDataset, TensorDataset]:
    """1,797 pictures of 8 by 8 pixels; a fifth of them is kept for the evaluation."""
    digits = load_digits()
    pictures = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target, dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    kept = len(labels) // 5
    evaluated, trained = order[:kept], order[kept:]
    return (
        TensorDataset(pictures[trained], labels[trained]),
        TensorDataset(pictures[evaluated], labels[evaluated]),
    )


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


@torch.no_grad()
def evaluate(model: nn.Module, data: TensorDataset) -> tuple[float, float]:
    pictures, labels = data.tensors
    model.eval()
    logits = model(pictures)
    model.train()
    loss = nn.functional.cross_entropy(logits, labels)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return float(loss), float(accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32, help="pictures a step and a rank")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=2, help="processes a rank that load data")
    options = parser.parse_args()

    log = sluice.init(project="digits", run=os.environ.get("SLUICE_RUN", "digits-1"), job="train")
    sluice.system_metrics(interval_s=1)
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    torch.manual_seed(0)

    trained, evaluated = datasets()
    sampler: DistributedSampler[TensorDataset] = DistributedSampler(trained, shuffle=True, seed=0)
    # The loader's processes are forks of this one. Each would be a producer of its own, if it logged.
    loader = DataLoader(
        trained,
        options.batch,
        sampler=sampler,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
    )
    model = DistributedDataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.lr, epochs=options.epochs, steps_per_epoch=len(loader)
    )
    log.event("train.begin", parameters=sum(p.numel() for p in model.parameters()), options=vars(options))

    step = 0
    for epoch in range(options.epochs):
        sampler.set_epoch(epoch)
        waited_s = time.perf_counter()
        for pictures, labels in loader:
            began_s = time.perf_counter()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pictures), labels)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            step += 1
            ended_s = time.perf_counter()
            # Tensors become numbers by themselves.
            log.event(
                "train.step",
                step=step,
                loss=loss,
                grad_norm=norm,
                lr=schedule.get_last_lr()[0],
                data_s=began_s - waited_s,
                step_s=ended_s - began_s,
                pictures=len(labels),
            )
            waited_s = ended_s
        with log.timer("eval.time", step=step):
            eval_loss, accuracy = evaluate(model.module, evaluated)
        log.event("eval", step=step, loss=eval_loss, accuracy=accuracy, epoch=epoch)
        if rank == 0:
            log.info(f"epoch {epoch} is done", step=step, accuracy=accuracy)
    distributed.destroy_process_group()
    log.close()
    if rank == 0:
        print(f"accuracy {accuracy:.3f} after {step} steps; run {log.run}")


if __name__ == "__main__":
    main()
