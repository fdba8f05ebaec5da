"""Serves recorded requests of a real inference service, at the pace at which they came or faster, and logs each.

    python examples/inference/main.py --requests 300 --speed 20

Needs nothing but `sluice` and a collector (`npx sluice up`). app.py serves the same engine with FastAPI. What to ask
then stands in questions.sql.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
from datetime import datetime
from pathlib import Path

from engine import Engine, Model

import sluice

EXAMPLES = Path(__file__).resolve().parent.parent
#: Every so many requests, the client goes away before its answer is there.
CANCEL_EVERY = 25


def recorded(count: int) -> list[tuple[float, int, int]]:
    """Seconds since the first, tokens of the prompt, tokens of the answer (source: fixtures/README.md)."""
    with open(EXAMPLES / "fixtures" / "llm-inference-requests.csv", newline="") as file:
        rows = list(csv.DictReader(file))[:count]
    # Seven digits of a second's fraction; Python reads six.
    times = [datetime.fromisoformat(row["TIMESTAMP"][:-1]) for row in rows]
    return [
        ((time - times[0]).total_seconds(), int(row["ContextTokens"]), int(row["GeneratedTokens"]))
        for time, row in zip(times, rows)
    ]


async def client(engine: Engine, text: str, at_s: float, index: int, prompt: int, tokens: int) -> None:
    await asyncio.sleep(at_s)
    call = asyncio.ensure_future(engine.generate(text[:prompt], tokens))
    if index % CANCEL_EVERY == 0:
        await asyncio.sleep(0.001)
        call.cancel()
    await asyncio.wait([call])


async def serve(requests: int, speed: float, log: sluice.Logger) -> None:
    text = (EXAMPLES.parent / "LICENSE").read_text()
    engine = Engine(Model(text), log)
    running = asyncio.ensure_future(engine.run())
    prompts = text * 8
    await asyncio.gather(
        *(
            client(engine, prompts, at_s / speed, index, prompt, tokens)
            for index, (at_s, prompt, tokens) in enumerate(recorded(requests), 1)
        )
    )
    running.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument(
        "--speed", type=float, default=10.0, help="times the pace at which they were recorded"
    )
    options = parser.parse_args()
    log = sluice.init(project="serving", run=os.environ.get("SLUICE_RUN", "serving-1"), job="serve")
    sluice.system_metrics(interval_s=1)
    asyncio.run(serve(options.requests, options.speed, log))
    # Waits for the collector: the event loop is not needed any more.
    log.close()
    print(f"{options.requests} requests were served; run {log.run}")


if __name__ == "__main__":
    main()
