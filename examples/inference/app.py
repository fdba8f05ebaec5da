"""The same engine behind FastAPI.

    uvicorn app:app --app-dir examples/inference

    curl localhost:8000/generate -H 'content-type: application/json' -d '{"prompt": "Licensed under ", "max_tokens": 9}'

uvicorn handles SIGTERM itself, so the application's end is where the logger is closed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine import Engine, Model
from fastapi import FastAPI
from pydantic import BaseModel

import sluice

TEXT = Path(__file__).resolve().parents[2] / "LICENSE"


class Prompt(BaseModel):
    prompt: str
    max_tokens: int = 64


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    log = sluice.init(project="serving", run=os.environ.get("SLUICE_RUN", "serving-1"), job="serve")
    app.state.engine = Engine(Model(TEXT.read_text()), log)
    running = asyncio.ensure_future(app.state.engine.run())
    yield
    running.cancel()
    # Blocks for as long as the collector takes, so not on the event loop's thread.
    await asyncio.get_running_loop().run_in_executor(None, log.close)


app = FastAPI(lifespan=lifespan)


@app.post("/generate")
async def generate(prompt: Prompt) -> dict[str, str]:
    request = await app.state.engine.generate(prompt.prompt, prompt.max_tokens)
    return {"text": request.text, "trace_id": request.trace_id}
