"""nginx as a plain reverse proxy in front of OpenSearch, as long as a block lasts."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from plugin.harness.proxy_process import free_port
from tests.support.http.raw_http import ask

_CONFIGURATION = """
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream opensearch {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://opensearch; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""

_START_S = 20.0


def found_nginx() -> str | None:
    """Return where nginx is, None where it is not installed (Debian: apt install nginx-light)."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def running_nginx(program: str, upstream: str, folder: Path, workers: int) -> Iterator[str]:
    """Run nginx before a server; yield its URL.

    Raises:
        RuntimeError: it does not start.
    """
    port = free_port()
    configuration = folder / "nginx.conf"
    server = urlsplit(upstream).netloc
    text = _CONFIGURATION.format(folder=folder, upstream=server, port=port, workers=workers)
    configuration.write_text(text)
    folder.chmod(0o755)
    started = subprocess.Popen(
        [program, "-p", str(folder), "-e", "stderr", "-c", str(configuration)], stderr=subprocess.PIPE
    )
    try:
        _wait_for(started, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.communicate()


def _wait_for(started: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            ask(url, "GET", "/")
        except OSError:
            if started.poll() is not None or time.monotonic() > deadline:
                told = (started.communicate()[1] if started.poll() is not None else b"").decode()
                raise RuntimeError(f"expected nginx to answer at {url}, found: {told or 'silence'}") from None
            time.sleep(0.05)
        else:
            return
