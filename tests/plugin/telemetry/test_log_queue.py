"""The thread that writes the log: every line in order, and nobody waits for a reader that does not read."""

import json
import subprocess
import sys

from tests.support.paths import ROOT

BEGIN = """
import logging, sys
from plugin.telemetry.log_queue import write_in_thread
from plugin.telemetry.logs import log_to_stderr
log_to_stderr(as_json=True)
log = logging.getLogger("twinrank")
"""
IN_ORDER = """
before = list(log.handlers)
stop = write_in_thread(["twinrank"])
for number in range(500):
    log.warning("line %d", number)
try:
    raise ValueError("a value")
except ValueError:
    log.exception("the last")
stop()
assert log.handlers == before
log.warning("written at once")
write_in_thread(["twinrank"])
log.warning("written at the end")
"""
TOO_MANY = """
write_in_thread(["twinrank"], max_lines=8)
for number in range(100):
    log.warning("%d %s", number, "x" * 10_000)
print("all were logged", flush=True)
sys.stdin.readline()
while not log.handlers[0].queue.empty():
    pass
log.warning("the last")
"""
ENOUGH_S = 60


def test_every_line_is_written_in_order_in_its_format() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + IN_ORDER], cwd=ROOT, capture_output=True, check=True, timeout=ENOUGH_S
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    numbered = [f"line {number}" for number in range(500)]
    assert [line["message"] for line in lines] == [
        *numbered, "the last", "written at once", "written at the end"
    ]  # fmt: skip
    assert {line["logger"] for line in lines} == {"twinrank"}
    assert "ValueError: a value" in lines[500]["exception"]


def test_a_reader_that_does_not_read_holds_nobody_up_and_what_is_lost_is_counted() -> None:
    """A pipe holds 64 KiB, so the program goes on only if it waits for nobody."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + TOO_MANY], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdout
        assert running.stdout.readline() == "all were logged\n"
        _, written = running.communicate("\n", timeout=ENOUGH_S)
    messages = [json.loads(line)["message"] for line in written.splitlines()]
    assert messages[-1] == "the last"
    lost = [int(each.split()[0]) for each in messages if "log lines were lost" in each]
    assert len(messages) - len(lost) - 1 + sum(lost) == 100
    assert lost
