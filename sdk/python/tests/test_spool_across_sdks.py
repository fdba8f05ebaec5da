"""A spool that one SDK wrote is delivered by the other's sync, in both directions and from one directory."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sluice._generated import collector_pb2 as pb
from sluice.create import create_logger
from sluice.spool.sync import sync_spool

from .support.collector_process import environment
from .support.fake_collector import FakeCollector

ROOT = Path(__file__).resolve().parents[3]
SDK = ROOT / "sdk" / "typescript" / "dist" / "index.js"
COMMAND = ROOT / "collector" / "bin" / "sluice.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not SDK.exists() or not COMMAND.exists(),
    reason="needs Node.js, and `npm run build` before",
)

COUNT = 500

WRITE = f"""
const [sdk, directory] = process.argv.slice(1);
const {{ createLogger }} = await import(sdk);
const log = createLogger({{ mode: 'offline', spoolDir: directory, run: 'typescript', onDiagnostic: () => {{}} }});
for (let step = 1; step <= {COUNT}; step++)
  log.event(
    'e',
    {{ half: step / 2, text: `größe ${{step}}`, flag: true }},
    {{ step, severity: step % 2 ? 'warn' : 'info' }},
  );
await log.close();
console.log(log.producerId);
"""


def node(*arguments: str) -> str:
    assert NODE is not None
    done = subprocess.run([NODE, *arguments], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_typescript(folder: Path) -> str:
    return node("--input-type=module", "-e", WRITE, str(SDK), str(folder)).strip()


def write_python(folder: Path) -> str:
    log = create_logger(
        {"mode": "offline", "spool_dir": folder, "run": "python", "on_diagnostic": lambda diagnostic: None}
    )
    for step in range(1, COUNT + 1):
        log.event(
            "e",
            half=step / 2,
            text=f"größe {step}",
            flag=True,
            step=step,
            severity="warning" if step % 2 else "info",
        )
    log.close()
    return log.producer_id


def assert_arrived(server: FakeCollector, producer_id: str, run: str) -> None:
    stored = server.model.producers[producer_id.replace("-", "")]
    assert stored.producer.run_id == run
    assert stored.durable == COUNT
    for step, event in enumerate(stored.events, 1):
        expected = pb.Event(name="e", step=step, time_unix_nano=event.time_unix_nano)
        expected.metrics["half"] = step / 2
        expected.attributes["text"] = f"größe {step}"
        expected.attributes["flag"] = "true"
        if step % 2:
            expected.severity_number = 13
        assert event == expected


def test_what_typescript_spooled_is_delivered_by_python(tmp_path: Path) -> None:
    producer_id = write_typescript(tmp_path)
    with FakeCollector() as server:
        result = sync_spool(tmp_path, endpoint=server.endpoint)
        (producer,) = result.producers
        assert (producer.state, producer.events, producer.run) == ("delivered", COUNT, "typescript")
        assert_arrived(server, producer_id, "typescript")
    assert list(tmp_path.iterdir()) == []


def test_what_python_spooled_is_delivered_by_the_collectors_sync(tmp_path: Path) -> None:
    producer_id = write_python(tmp_path)
    with FakeCollector() as server:
        said = node(str(COMMAND), "sync", str(tmp_path), "--endpoint", server.endpoint)
        assert f"{producer_id}" in said and "delivered" in said
        assert_arrived(server, producer_id, "python")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reader", ["typescript", "python"])
def test_a_directory_that_both_have_written_to_is_delivered_by_either(reader: str, tmp_path: Path) -> None:
    typescript, python = write_typescript(tmp_path), write_python(tmp_path)
    with FakeCollector() as server:
        if reader == "typescript":
            node(str(COMMAND), "sync", str(tmp_path), "--endpoint", server.endpoint)
        else:
            assert sync_spool(tmp_path, endpoint=server.endpoint).is_complete
        assert_arrived(server, typescript, "typescript")
        assert_arrived(server, python, "python")
    assert list(tmp_path.iterdir()) == []
