"""Options of `serve` that are refused before anything starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from plugin.commands.main import main


def refusal(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["serve", *arguments])
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


def test_a_key_for_client_ids_must_be_long(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("short\n")
    said = refusal("--hash-client-ids", str(key))
    assert "--hash-client-ids: expected at least 16 bytes in" in said
    assert "found 5. Make one with: openssl rand -hex 32" in said


def test_a_key_for_client_ids_must_be_there(tmp_path: Path) -> None:
    said = refusal("--hash-client-ids", str(tmp_path / "none"))
    assert "--hash-client-ids: expected a file with the key, found:" in said


@pytest.mark.parametrize("url", ["ftp://10.0.0.5", "10.0.0.5:2021", "http://"])
def test_a_sink_must_be_a_url(url: str) -> None:
    assert "expected a URL such as http://10.0.0.5:2021/log/ingest" in refusal("--ubi-sink", url)


def test_what_is_recorded_is_one_of_three() -> None:
    assert "'maybe' is not one of 'on', 'no-text', 'off'" in refusal("--ubi", "maybe")
