"""What a worker has loaded is left out of garbage collection; what comes later is not."""

import subprocess
import sys

from tests.support.paths import ROOT

PROGRAM = """
import gc, weakref
from plugin.server.garbage import keep_for_good

class Circle:
    def __init__(self):
        self.itself = self

loaded, before = Circle(), weakref.ref(Circle())
keep_for_good()
print(before() is None, gc.get_freeze_count() > len(gc.get_objects()))
kept, later = weakref.ref(loaded), weakref.ref(Circle())
del loaded
gc.collect()
print(kept() is not None, later() is None)
"""


def test_what_is_loaded_is_kept_and_garbage_is_not() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["True"] * 4
