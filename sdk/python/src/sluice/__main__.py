"""`python -m sluice sync DIR`"""

from __future__ import annotations

import sys

from sluice.cli import USAGE, main

if sys.argv[1:2] == ["sync"]:
    sys.exit(main(sys.argv[2:], "python -m sluice sync"))
print("usage: python -m sluice sync [DIR] …\n  python -m sluice sync --help", file=sys.stderr)
sys.exit(0 if sys.argv[1:] in ([], ["--help"], ["-h"]) else USAGE)
