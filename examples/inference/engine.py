"""A language model that is small enough to read, behind an inference loop that is shaped like a real one.

The model counts which character follows which three, in the text that it is given; that is enough to write something,
one token at a time. The loop does continuous batching: every turn makes one token for each request that is active,
and requests join and leave between turns. What it logs, and when, is the point of it.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

import sluice

CONTEXT = 3


class Model:
    """Next characters and how often each follows its context."""

    def __init__(self, text: str) -> None:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for at in range(CONTEXT, len(text)):
            counts[text[at - CONTEXT : at]][text[at]] += 1
        self._next = {context: (list(found), list(found.values())) for context, found in counts.items()}
        self._contexts = list(self._next)

    def next_token(self, text: str) -> str:
        found = self._next.get(text[-CONTEXT:])
        if found is None:
            found = self._next[random.choice(self._contexts)]
        characters, weights = found
        return random.choices(characters, weights)[0]


@dataclass
class Request:
    prompt: str
    max_tokens: int
    trace_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    text: str = ""
    tokens: int = 0
    arrived_s: float = field(default_factory=time.perf_counter)
    started_s: float = 0.0
    first_token_s: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    is_cancelled: bool = False


class Engine:
    """Serves requests in batches, on the event loop that calls `run`."""

    def __init__(self, model: Model, log: sluice.Logger, *, max_batch: int = 16) -> None:
        self._model = model
        self._log = log
        self._max_batch = max_batch
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._arrived = asyncio.Event()
        self._turns = 0

    async def generate(self, prompt: str, max_tokens: int) -> Request:
        """Resolves once the request is served. One that is cancelled leaves the batch."""
        request = Request(prompt, max_tokens, text=prompt)
        self._waiting.append(request)
        self._arrived.set()
        status = "error"
        try:
            await request.done.wait()
            status = "ok"
        except asyncio.CancelledError:
            request.is_cancelled = True
            status = "cancelled"
            raise
        finally:
            self._log_request(request, status)
        return request

    async def run(self) -> None:
        """The loop. Ends when it is cancelled."""
        while True:
            if not self._active and not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            while self._waiting and len(self._active) < self._max_batch:
                request = self._waiting.popleft()
                request.started_s = time.perf_counter()
                self._active.append(request)
            self._turn()
            # Other tasks, such as those that take requests in, have their turn between two of ours.
            await asyncio.sleep(0)

    def _turn(self) -> None:
        began_s = time.perf_counter()
        batch = [request for request in self._active if not request.is_cancelled]
        for request in batch:
            request.text += self._model.next_token(request.text)
            request.tokens += 1
            if request.tokens == 1:
                request.first_token_s = time.perf_counter()
            if request.tokens >= request.max_tokens:
                request.done.set()
        self._active = [request for request in batch if not request.done.is_set()]
        self._turns += 1
        # One event a turn: a log call is cheap enough for that, and a queue that grows shows at once.
        self._log.event(
            "engine.turn",
            step=self._turns,
            batch=len(batch),
            waiting=len(self._waiting),
            duration_s=time.perf_counter() - began_s,
        )

    def _log_request(self, request: Request, status: str) -> None:
        now_s = time.perf_counter()
        duration_s = now_s - request.arrived_s
        self._log.event(
            "request",
            severity="info" if status == "ok" else "warning",
            trace_id=request.trace_id,
            status=status,
            prompt_tokens=len(request.prompt),
            generated_tokens=request.tokens,
            queue_s=(request.started_s or now_s) - request.arrived_s,
            first_token_s=(request.first_token_s or now_s) - request.arrived_s,
            duration_s=duration_s,
            tokens_per_s=request.tokens / duration_s if duration_s > 0 else 0.0,
        )
