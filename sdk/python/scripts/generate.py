"""Writes the classes of the service definition, `src/sluice/_generated/collector_pb2.py` and its types.

    python scripts/generate.py [--check]

`--check` compares instead of writing, and exits 1 if they are not current. Needs `grpcio-tools`.

protoc's own Python output refuses every protobuf runtime that is older than itself, and says so when it is imported.
Here it makes the descriptor alone; what is written around that is what protoc 3.20 to 4.25 wrote, which every runtime
from 3.20 on takes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc  # type: ignore[import-untyped]

PYTHON = Path(__file__).resolve().parent.parent
PROTO = PYTHON.parent.parent / "proto"
SOURCE = "sluice/v1/collector.proto"
TARGET = PYTHON / "src" / "sluice" / "_generated"

MODULE = """\
# Made by scripts/generate.py from {source}; do not edit.
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf.internal import builder as _builder

DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(
{descriptor}
)
_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())
_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, "sluice._generated.collector_pb2", globals())
"""


def generate() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        descriptor = Path(folder) / "descriptor"
        arguments = [
            "protoc",
            f"-I{PROTO}",
            f"--descriptor_set_out={descriptor}",
            f"--pyi_out={folder}",
            SOURCE,
        ]
        if protoc.main(arguments) != 0:
            sys.exit(f"protoc does not take {SOURCE}")
        (file,) = FileDescriptorSet.FromString(descriptor.read_bytes()).file
        types = (Path(folder) / SOURCE.replace(".proto", "_pb2.pyi")).read_text()
    encoded = file.SerializeToString(deterministic=True)
    lines = [f"    {encoded[at : at + 24]!r}" for at in range(0, len(encoded), 24)]
    module = MODULE.format(source=SOURCE, descriptor="\n".join(lines))
    return {"__init__.py": "", "collector_pb2.py": module, "collector_pb2.pyi": types}


def main() -> None:
    fresh = generate()
    if "--check" in sys.argv[1:]:
        stale = [
            name
            for name, text in fresh.items()
            if not (TARGET / name).exists() or (TARGET / name).read_text() != text
        ]
        if stale:
            sys.exit(
                f"src/sluice/_generated is not current: {', '.join(stale)}\nRun: python sdk/python/scripts/generate.py"
            )
        return
    TARGET.mkdir(exist_ok=True)
    for name, text in fresh.items():
        (TARGET / name).write_text(text)


if __name__ == "__main__":
    main()
