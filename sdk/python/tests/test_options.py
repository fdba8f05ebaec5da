"""Options, the environment, and what is said about what is wrong with them."""

from __future__ import annotations

import inspect
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import sluice
from sluice.create import new_run
from sluice.endpoint import Endpoint, parse_endpoint
from sluice.environment import Environment, resolve_environment
from sluice.limits import NUMBER_OPTIONS
from sluice.options import Settings, resolve_options
from sluice.uuid7 import uuid7, uuid_text


def resolve(variables: Mapping[str, str] | None = None, /, **options: object) -> Settings:
    return resolve_options(options, variables=variables or {}, host="node-1", new_run=lambda: "new-run")


def said(**variables: str) -> dict[str, object]:
    """What an environment says."""
    environment = resolve_environment(variables)
    assert environment.warnings == []
    return {name: value for name, value in vars(environment).items() if value not in (None, [])}


def test_without_options_everything_has_a_default() -> None:
    settings = resolve()
    assert settings.endpoint == Endpoint("127.0.0.1:4317", tls=False)
    assert (settings.project, settings.run, settings.host, settings.rank) == (
        "default",
        "new-run",
        "node-1",
        0,
    )
    assert (settings.buffer_bytes, settings.mode, settings.encoding) == (64 * 2**20, "online", "blocks")
    assert (settings.spool_dir, settings.warnings) == (None, ())
    assert not settings.is_call_age_given
    assert not settings.is_request_age_given


def test_an_option_wins_over_the_environment() -> None:
    settings = resolve({"SLUICE_RUN": "b", "RANK": "2", "LOCAL_RANK": "3"}, run="a", rank=1)
    assert (settings.run, settings.rank, settings.local_rank) == ("a", 1, 3)


def test_the_encoding_comes_from_the_option_the_environment_or_is_blocks() -> None:
    assert resolve({"SLUICE_ENCODING": "rows"}).encoding == "rows"
    assert resolve({"SLUICE_ENCODING": "rows"}, encoding="blocks").encoding == "blocks"
    settings = resolve({"SLUICE_ENCODING": "row"}, encoding="columns")
    assert settings.encoding == "blocks"
    assert settings.warnings == (
        'environment variable SLUICE_ENCODING is "row"; ignored, it must be blocks or rows',
        "option encoding is \"columns\"; ignored, it must be 'blocks' or 'rows'",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": -1}, "option rank is -1; ignored, it must be a whole number from 0 to 4294967295"),
        ({"rank": True}, "option rank is True"),
        ({"rank": 1.5}, "option rank is 1.5"),
        ({"rank": float("nan")}, "option rank is nan"),
        ({"rank": "1"}, 'option rank is "1"'),
        ({"project": ["p"]}, r"option project is \['p'\]; ignored, it must be a string"),
        ({"buffer_bytes": 10}, "option buffer_bytes is 10; ignored, it must be a whole number from 65536 to"),
        ({"endpoint": "not an endpoint"}, "option endpoint is .*; 127.0.0.1:4317 is used"),
        ({"endpoint": 4317}, "option endpoint is 4317; ignored, it must be host:port, http://host:port or "),
        (
            {"endpoint": "4317"},
            'option endpoint is "4317"; ignored, it must be host:port, http://host:port or ',
        ),
        (
            {"labels": {"a": {}}},
            r"option labels.a is \{\}; ignored, it must be a string, a number or a boolean",
        ),
        ({"labels": 5}, "option labels is 5; ignored, it must be a mapping"),
        (
            {"labels": {str(index): "x" for index in range(65)}},
            "label 64 is one too many; ignored, 64 are allowed",
        ),
        ({"mode": "off"}, "option mode is \"off\"; ignored, it must be 'online' or 'offline'"),
        ({"spool_dir": 5.5}, "option spool_dir is 5.5"),
        ({"on_diagnostic": 5}, "option on_diagnostic is 5; ignored, it must be a function"),
        ({"config": {"lr": 1}}, "there is no option config; ignored$"),
        ({"spoolDir": "/tmp/x"}, "there is no option spoolDir; ignored; did you mean spool_dir\\?"),
    ],
)
def test_what_is_wrong_is_ignored_and_named(options: dict[str, Any], words: str) -> None:
    settings = resolve(**options)
    (warning,) = settings.warnings
    assert re.match(words, warning), warning
    assert settings.rank == 0
    assert settings.project == "default"


def test_an_endpoint_that_is_none_is_not_replaced_by_that_of_the_environment() -> None:
    for port in (4317, "4317"):
        settings = resolve({"SLUICE_ENDPOINT": "prod:4317"}, endpoint=port)
        assert settings.endpoint.target == "127.0.0.1:4317"
        assert settings.warnings[0].endswith("127.0.0.1:4317 is used")
    for nothing in (None, ""):
        settings = resolve({"SLUICE_ENDPOINT": "prod:4317"}, endpoint=nothing)
        assert (settings.endpoint.target, settings.warnings) == ("prod:4317", ())


def test_numbers_may_be_of_any_library_and_whole_floats() -> None:
    settings = resolve(rank=np.int64(3), buffer_bytes=1e6, run=17, attempt=np.int8(2))
    assert (settings.rank, settings.buffer_bytes, settings.run, settings.attempt) == (3, 1_000_000, "17", 2)
    assert settings.warnings == ()


def test_labels_become_texts() -> None:
    assert resolve(labels={"a": 1, "b": True, "c": 0.5, "d": "x"}).labels == {
        "a": "1",
        "b": "true",
        "c": "0.5",
        "d": "x",
    }


def test_options_that_raise_when_they_are_looked_at_are_ignored() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

        def __index__(self) -> int:
            raise RuntimeError

    for name in inspect.signature(sluice.init).parameters:
        assert resolve(**{name: Hostile()}).run in ("new-run",)


def test_a_spool_directory_and_a_mode_come_from_options_then_the_environment_and_offline_has_a_default() -> (
    None
):
    assert resolve({"SLUICE_SPOOL_DIR": "/b"}, spool_dir="/a").spool_dir == "/a"
    assert resolve({"SLUICE_SPOOL_DIR": "/b"}).spool_dir == "/b"
    assert resolve(spool_dir=pathlib.Path("here")).spool_dir == f"{os.getcwd()}/here"
    offline = resolve({"SLUICE_MODE": "offline"})
    assert (offline.mode, offline.spool_dir) == ("offline", f"{os.getcwd()}/sluice-spool")
    assert resolve({"SLUICE_MODE": "offline"}, mode="online").mode == "online"


def test_ranks_without_a_common_run_are_warned_about() -> None:
    (warning,) = resolve({"RANK": "0", "WORLD_SIZE": "8"}).warnings
    assert re.match("no run is given.*8 ranks", warning)
    assert resolve({"RANK": "0", "WORLD_SIZE": "8"}, run="r").warnings == ()


def test_a_request_and_a_call_are_never_larger_than_the_buffer_allows() -> None:
    settings = resolve(buffer_bytes=65_536)
    assert (settings.request_bytes, settings.call_bytes) == (16_384, 32_768)


def test_every_number_option_is_a_keyword_of_init() -> None:
    assert set(NUMBER_OPTIONS) <= set(inspect.signature(sluice.init).parameters)


def test_endpoints_are_read_in_every_usual_form() -> None:
    targets = {
        "collector:4317": "collector:4317",
        "collector": "collector:4317",
        "collector:": "collector:4317",
        "HTTP://collector:5000": "collector:5000",
        "http://10.0.0.1:5000": "10.0.0.1:5000",
        "http://collector:80/": "collector:80",
        "[::1]:4317": "[::1]:4317",
        "unix:/run/sluice.sock": "unix:/run/sluice.sock",
        "dns:///collector:1": "dns:///collector:1",
    }
    for text, target in targets.items():
        assert parse_endpoint(text) == Endpoint(target, tls=False)
    assert parse_endpoint("https://logs.example:443") == Endpoint("logs.example:443", tls=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a b",
        "ftp://x:1",
        "http://",
        "host:99999",
        "http://x/path",
        "http://u:p@x",
        "x:port",
        "http://x?a",
        "4317",
        "4317:4317",
        "http://4317",
        "HTTP://4317",
        "4317:",
        "https://4317:/",
        ":4317",
        "http:///4317",
        "http://@4317",
    ],
)
def test_what_is_no_endpoint_is_none(text: str) -> None:
    assert parse_endpoint(text) is None


def test_an_empty_environment_says_nothing() -> None:
    assert said() == {}
    assert said(SLUICE_RUN="", RANK=" ") == {}


def test_the_sdk_s_own_variables_win_over_a_launcher_s() -> None:
    assert said(
        SLUICE_ENDPOINT="collector:4317",
        SLUICE_PROJECT="p",
        SLUICE_RUN="mine",
        SLUICE_JOB="train",
        TORCHELASTIC_RUN_ID="theirs",
        SLURM_JOB_ID="1",
    ) == {"endpoint": "collector:4317", "project": "p", "run": "mine", "job": "train"}


def test_torchrun_inside_of_slurm_has_the_ranks_and_restarts_add_up() -> None:
    assert said(
        RANK="9",
        LOCAL_RANK="1",
        WORLD_SIZE="16",
        TORCHELASTIC_RESTART_COUNT="2",
        TORCHELASTIC_RUN_ID="run-1",
        SLURM_PROCID="1",
        SLURM_LOCALID="0",
        SLURM_NTASKS="2",
        SLURM_RESTART_COUNT="1",
        SLURM_JOB_ID="77",
    ) == {"run": "run-1", "rank": 9, "local_rank": 1, "world_size": 16, "attempt": 3}


def test_the_name_that_torchrun_gives_a_run_without_one_is_none() -> None:
    assert said(TORCHELASTIC_RUN_ID="none", SLURM_JOB_ID="77") == {"run": "77"}


def test_slurm_alone_and_a_task_of_an_array() -> None:
    assert said(
        SLURM_JOB_ID="1234",
        SLURM_ARRAY_JOB_ID="1230",
        SLURM_ARRAY_TASK_ID="4",
        SLURM_PROCID="3",
        SLURM_LOCALID="1",
        SLURM_NTASKS="8",
    ) == {"run": "1230_4", "rank": 3, "local_rank": 1, "world_size": 8}


def test_open_mpi_inside_of_a_slurm_allocation() -> None:
    assert said(
        OMPI_COMM_WORLD_RANK="5",
        OMPI_COMM_WORLD_LOCAL_RANK="1",
        OMPI_COMM_WORLD_SIZE="8",
        SLURM_PROCID="0",
        SLURM_NTASKS="1",
    ) == {"rank": 5, "local_rank": 1, "world_size": 8}


@pytest.mark.parametrize("value", ["abc", "-1", "1e3", "4294967296", "1_0", "²", "1" * 50])
def test_a_value_that_is_no_rank_is_ignored_with_a_warning_that_names_it(value: str) -> None:
    environment = resolve_environment({"RANK": value})
    (warning,) = environment.warnings
    assert warning.startswith("environment variable RANK is")
    assert warning.endswith("; ignored, it must be a whole number from 0 to 4294967295")
    environment.warnings = []
    assert environment == Environment()


def test_a_world_size_that_is_wrong_costs_itself_and_not_the_rank() -> None:
    environment = resolve_environment({"RANK": "0", "WORLD_SIZE": "0"})
    assert (environment.rank, environment.world_size, len(environment.warnings)) == (0, None, 1)


def test_a_uuid7_carries_its_time_its_version_and_its_variant() -> None:
    text = uuid_text(uuid7(0x0123_4567_89AB))
    assert re.fullmatch("01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text)
    assert text != uuid_text(uuid7(0x0123_4567_89AB))


def test_a_run_that_nobody_named_sorts_by_time() -> None:
    assert re.fullmatch("20261123-005350-[0-9a-f]{6}", new_run(1_795_395_230 * 10**9, uuid7(0)))


def test_a_logger_is_made_whatever_it_is_given_and_says_what_was_wrong() -> None:
    messages: list[str] = []

    def on_diagnostic(diagnostic: sluice.Diagnostic) -> None:
        messages.append(diagnostic.message)
        raise RuntimeError("a callback that raises")

    log = sluice.init(on_diagnostic=on_diagnostic, rank=float("nan"), config={})  # type: ignore[arg-type]
    assert "option rank is nan" in messages[0]
    assert "there is no option config" in messages[0]
    log.close(0)
