"""Mends two lines of Debian 12's PyTorch 1.13, which is older than the Python 3.11 that Debian ships it with.

    python repair_debian_torch.py      # installs itself into the virtual environment that runs it

torchrun's `Std.from_str("0")` finds no member, since 3.11 leaves members of value 0 out of a flag's iteration, and a
dataclass of the sharding module has a default that 3.11 takes for mutable, so that nothing of FSDP can be imported, and
Lightning imports it. Both lines are replaced when they are loaded; the files stay as they are. Only the environment of
`npm run test:integrations` has this: on a PyTorch of one's own nothing needs mending.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

REPAIRS = {
    "torch.distributed.elastic.multiprocessing.api": (
        "for s in Std:",
        "for s in Std.__members__.values():",
    ),
    "torch.distributed._shard.sharded_tensor.metadata": (
        "field(default=TensorProperties())",
        "field(default_factory=TensorProperties)",
    ),
}


class RepairingLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode().replace(*REPAIRS[fullname])
        return compile(source, self.path, "exec", dont_inherit=True)


class Repairs(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in REPAIRS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = RepairingLoader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """A `.pth` file's `import` runs at every start of the environment's interpreter, torchrun's ranks included."""
    packages = Path(sysconfig.get_path("purelib"))
    shutil.copy(__file__, packages / "repair_debian_torch.py")
    (packages / "repair_debian_torch.pth").write_text("import repair_debian_torch\n")


if __name__ == "__main__":
    install()
else:
    sys.meta_path.insert(0, Repairs())
