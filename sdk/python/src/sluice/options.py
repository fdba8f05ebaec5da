"""Options, environment and defaults, put together and checked."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluice.diagnostics import Diagnostic
from sluice.endpoint import DEFAULT_ENDPOINT, Endpoint, parse_endpoint
from sluice.environment import ENCODINGS, MODES, Encoding, Mode, resolve_environment
from sluice.limits import ATTEMPT_MAX, LABELS_PER_PRODUCER, NUMBER_OPTIONS, UINT32_MAX

#: Where the offline mode writes if nobody says; `sluice sync` looks there too.
DEFAULT_SPOOL_DIR = "sluice-spool"


@dataclass(frozen=True)
class Settings:
    """What `sluice.init` was given, after environment, defaults and checks."""

    endpoint: Endpoint
    project: str
    run: str
    job: str
    rank: int
    local_rank: int | None
    world_size: int | None
    attempt: int
    host: str
    labels: Mapping[str, str]
    #: Absolute; None: no spool.
    spool_dir: str | None
    mode: Mode
    encoding: Encoding
    buffer_bytes: int
    request_bytes: int
    request_age_ms: int
    call_age_ms: int
    call_bytes: int
    ack_timeout_ms: int
    flush_timeout_ms: int
    close_timeout_ms: int
    exit_timeout_ms: int
    spool_bytes: int
    backoff_min_ms: int
    backoff_max_ms: int
    #: Whether `request_age_ms` and `call_age_ms` were options, and not the defaults.
    is_request_age_given: bool
    is_call_age_given: bool
    on_diagnostic: Callable[[Diagnostic], None] | None
    #: One sentence for each option or variable that was ignored.
    warnings: tuple[str, ...]


def resolve_options(
    given: Mapping[str, object],
    *,
    variables: Mapping[str, str],
    host: str,
    new_run: Callable[[], str],
) -> Settings:
    """Puts options, environment and defaults together. What is wrong is ignored with a warning; never raises.

    `new_run` names the run if nobody does.
    """
    environment = resolve_environment(variables)
    warnings = list(environment.warnings)
    read = _Options(given, warnings)

    numbers: dict[str, int] = {}
    is_given: set[str] = set()
    for name, option in NUMBER_OPTIONS.items():
        number = read.whole(name, option.min, option.max)
        if number is not None:
            is_given.add(name)
        numbers[name] = option.default if number is None else number
    # A buffer that is a single request, or a single call, would be full whenever it waits for an answer.
    numbers["request_bytes"] = min(numbers["request_bytes"], numbers["buffer_bytes"] // 4)
    numbers["call_bytes"] = min(numbers["call_bytes"], numbers["buffer_bytes"] // 2)

    run = read.text("run") or environment.run
    world_size = _first(read.whole("world_size", 1, UINT32_MAX), environment.world_size)
    if run is None and world_size is not None and world_size > 1:
        warnings.append(
            f"no run is given (option run, SLUICE_RUN) but there are {world_size} ranks: each gets a run of its own; "
            "give all of them the same one"
        )
    mode_word = read.one_of("mode", MODES)
    mode = next((each for each in MODES if each == mode_word), environment.mode or "online")
    encoding_word = read.one_of("encoding", ENCODINGS)
    encoding = next((each for each in ENCODINGS if each == encoding_word), environment.encoding or "blocks")
    spool_dir = read.path("spool_dir") or environment.spool_dir
    if spool_dir is None and mode == "offline":
        spool_dir = DEFAULT_SPOOL_DIR
    rank = _first(read.whole("rank", 0, UINT32_MAX), environment.rank)
    attempt = _first(read.whole("attempt", 0, ATTEMPT_MAX), environment.attempt)
    settings = Settings(
        endpoint=_endpoint(read.as_given("endpoint"), environment.endpoint, warnings),
        project=read.text("project") or environment.project or "default",
        run=run or new_run(),
        job=read.text("job") or environment.job or "",
        rank=0 if rank is None else rank,
        local_rank=_first(read.whole("local_rank", 0, UINT32_MAX), environment.local_rank),
        world_size=world_size,
        attempt=0 if attempt is None else attempt,
        host=read.text("host") or host,
        labels=read.labels(),
        spool_dir=None if spool_dir is None else _absolute(spool_dir),
        mode=mode,
        encoding=encoding,
        **numbers,
        is_request_age_given="request_age_ms" in is_given,
        is_call_age_given="call_age_ms" in is_given,
        on_diagnostic=read.callback("on_diagnostic"),
        warnings=(),
    )
    read.unknown()
    # After everything was read, because reading is what warns.
    object.__setattr__(settings, "warnings", tuple(warnings))
    return settings


class _Options:
    """Reads what the caller gave, about which nothing is certain."""

    def __init__(self, given: Mapping[str, object], warnings: list[str]) -> None:
        self._given = given
        self._warnings = warnings
        self._read: set[str] = set()

    def as_given(self, name: str) -> object:
        """For whoever knows better what is allowed."""
        return self._value(name)

    def text(self, name: str) -> str | None:
        value = self._value(name)
        if value is None:
            return None
        if isinstance(value, str):
            return str.__str__(value) or None
        # A run that is numbered is what it prints as; a list is a slip.
        number = None if isinstance(value, bool) else _index(value)
        if number is not None:
            return str(number)
        self._ignore(name, value, "a string")
        return None

    def path(self, name: str) -> str | None:
        value = self._value(name)
        if not isinstance(value, os.PathLike):
            return self.text(name)
        try:
            return os.fsdecode(value)
        except Exception:
            self._ignore(name, value, "a path")
            return None

    def whole(self, name: str, low: int, high: int) -> int | None:
        value = self._value(name)
        if value is None:
            return None
        number: int | None = None
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            number = int(value)
        elif not isinstance(value, bool):
            number = _index(value)
        if number is not None and low <= number <= high:
            return number
        self._ignore(name, value, f"a whole number from {low} to {high}")
        return None

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        value = self._value(name)
        if value is None or (isinstance(value, str) and value in ("", *words)):
            return value or None
        self._ignore(name, value, " or ".join(f"'{word}'" for word in words))
        return None

    def callback(self, name: str) -> Callable[[Diagnostic], None] | None:
        value = self._value(name)
        if value is None or callable(value):
            return value
        self._ignore(name, value, "a function")
        return None

    def labels(self) -> dict[str, str]:
        given = self._value("labels")
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._ignore("labels", given, "a mapping")
            return {}
        labels: dict[str, str] = {}
        try:
            for key, value in given.items():
                if not isinstance(value, (str, int, float)):
                    self._ignore(f"labels.{key}", value, "a string, a number or a boolean")
                elif len(labels) == LABELS_PER_PRODUCER:
                    self._warnings.append(
                        f"label {key} is one too many; ignored, {LABELS_PER_PRODUCER} are allowed"
                    )
                else:
                    labels[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
        except Exception as error:
            self._warnings.append(f"the labels cannot be read ({error!r}); ignored")
        return labels

    def unknown(self) -> None:
        for name in self._given:
            if name not in self._read:
                meant = _nearest(name, self._read)
                hint = "" if meant is None else f"; did you mean {meant}?"
                self._warnings.append(f"there is no option {name[:100]}; ignored{hint}")

    def _value(self, name: str) -> object:
        self._read.add(name)
        return self._given.get(name)

    def _ignore(self, name: str, value: object, allowed: str) -> None:
        self._warnings.append(f"option {name} is {_shown(value)}; ignored, it must be {allowed}")


def _nearest(name: str, known: set[str]) -> str | None:
    """A word with another case, or without underscores, is the likeliest slip: `spoolDir` comes from TypeScript."""
    plain = name.replace("_", "").replace("-", "").lower()
    return next((one for one in sorted(known) if one.replace("_", "") == plain), None)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _index(value: object) -> int | None:
    """The whole number that a value of any library is; None if it is none."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except Exception:
        return None


def _absolute(path: str) -> str:
    """Because a job may change its working directory."""
    try:
        return os.path.abspath(path)
    except OSError:
        # The working directory is gone, and so are relative paths; that is reported when the spool is written.
        return path


def _endpoint(given: object, from_environment: str | None, warnings: list[str]) -> Endpoint:
    value = given
    if given is None or (isinstance(given, str) and not given):
        if from_environment is None:
            return DEFAULT_ENDPOINT
        value = from_environment
    # Nothing but a string: a number would be a port without a host.
    endpoint = parse_endpoint(value) if isinstance(value, str) else None
    if endpoint is not None:
        return endpoint
    allowed = f"host:port, http://host:port or https://host:port; {DEFAULT_ENDPOINT.target} is used"
    warnings.append(f"option endpoint is {_shown(value)}; ignored, it must be {allowed}")
    return DEFAULT_ENDPOINT


def _shown(value: object) -> str:
    """A short text of anything, whatever it does when asked for one."""
    if isinstance(value, str):
        return json.dumps(value[:100])
    try:
        return repr(value)[:100]
    except Exception:
        return f"of type {type(value).__name__}"
