"""One target under atheris: inputs that reach new code are kept and changed further.

atheris ends its process, so each target runs in one of its own, which imports the packages instrumented.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds_of

_RUN = """
import sys, atheris
with atheris.instrument_imports(include=["opensearch", "reranker", "plugin"]):
    from tests.fuzz.run import EVERYTHING
atheris.Setup([sys.argv[0], *sys.argv[2:]], EVERYTHING[sys.argv[1]])
atheris.Fuzz()
"""


def fuzz_guided(target: str, seconds: float, findings: Path) -> int:
    """Fuzz a target for so long; return the exit status, 0 where nothing was found.

    What was found lies in `findings`. An input that takes longer than 10 s is one.
    """
    kept = findings / target
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds_of(target)):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        options = [f"-max_total_time={seconds:.0f}", "-timeout=10", "-max_len=20000", "-print_final_stats=1"]
        where = [f"-artifact_prefix={kept}/", folder]
        return subprocess.run([sys.executable, "-c", _RUN, target, *options, *where], check=False).returncode
