"""A local OpenSearch 2.19.1 with the security plugin: users, roles, TLS.

Maven Central has the plugin for 2.19.1 and not for the newest version.
"""

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from opensearch.local.config import Setting
from opensearch.local.folders import make_readable
from opensearch.local.java import Java
from opensearch.local.process import ServerProcess
from opensearch.local.server import LocalServer
from plugin.commands.local_server import find_home
from tests.native.assembled import assembled, java_for_assembled
from tests.support.http.raw_http import ask, basic

ADMIN_PASSWORD = "Xk7-Quittengelee-im-Gewitter-29"

_SETTINGS: dict[str, Setting] = {
    "plugins.security.ssl.transport.pemcert_filepath": "esnode.pem",
    "plugins.security.ssl.transport.pemkey_filepath": "esnode-key.pem",
    "plugins.security.ssl.transport.pemtrustedcas_filepath": "root-ca.pem",
    "plugins.security.ssl.transport.enforce_hostname_verification": False,
    "plugins.security.ssl.http.pemcert_filepath": "esnode.pem",
    "plugins.security.ssl.http.pemkey_filepath": "esnode-key.pem",
    "plugins.security.ssl.http.pemtrustedcas_filepath": "root-ca.pem",
    "plugins.security.allow_unsafe_democertificates": True,
    "plugins.security.allow_default_init_securityindex": True,
    "plugins.security.authcz.admin_dn": ["CN=kirk,OU=client,O=client,L=test,C=de"],
    "plugins.security.authcz.rest_impersonation_user.admin": ["*"],
    "plugins.security.restapi.roles_enabled": ["all_access", "security_rest_api_access"],
    "plugins.security.system_indices.enabled": True,
}
"""The plugin's demo configuration, without its audit log, and with impersonation by the admin."""


@dataclass
class SecuredServer(LocalServer):
    """A server that only answers who has a password, over TLS where `is_tls`."""

    is_tls: bool = True

    @property
    def authority(self) -> Path:
        """The certificate of the authority that signed the server's."""
        return self.folders.config / "root-ca.pem"

    def _await_ready(self, process: ServerProcess) -> str:
        url = f"{'https' if self.is_tls else 'http'}://127.0.0.1:{process.http_port}"
        deadline = time.monotonic() + self.start_timeout_s
        while not _is_ready(url, self.authority):
            if not process.alive or time.monotonic() > deadline:
                raise AssertionError(self._last_lines())
            time.sleep(0.2)
        return url


def secured_server(folder: Path, *, is_tls: bool) -> SecuredServer:
    """Return a server on a free port, not started."""
    java, home = java_for_assembled(), find_home()
    home.mkdir(parents=True, exist_ok=True)
    settings = _SETTINGS | {"plugins.security.ssl.http.enabled": is_tls}
    distribution = _with_demo_certificates(
        assembled(home, java, "with-security", ["opensearch-security"]), java
    )
    return SecuredServer(
        home,
        folder=folder,
        http_port=0,
        java=java,
        distribution=distribution,
        settings=settings,
        is_tls=is_tls,
    )


def _is_ready(url: str, authority: Path) -> bool:
    trusting = ssl.create_default_context(cafile=authority)
    try:
        answer = ask(
            url, "GET", "/_cluster/health", headers=basic("admin", ADMIN_PASSWORD), trusting=trusting
        )
    except OSError:  # not there yet
        return False
    return answer.status == 200 and json.loads(answer.body)["status"] in ("green", "yellow")


def _with_demo_certificates(distribution: Path, java: Java) -> Path:
    """Return a distribution with the plugin's own demo certificates and the admin's password, made once."""
    target = distribution.with_name(f"{distribution.name}-demo")
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(dir=distribution.parent, prefix=".unpacking-") as temporary:
        copy = Path(temporary) / "server"
        shutil.copytree(distribution, copy, copy_function=os.link)
        for name in (
            "opensearch.yml",
            "opensearch-security/internal_users.yml",
        ):  # the installer writes these
            (copy / "config" / name).unlink()
            shutil.copy(distribution / "config" / name, copy / "config" / name)
        tools = copy / "plugins" / "opensearch-security" / "tools"
        environment = {
            "PATH": os.environ["PATH"],
            "OPENSEARCH_JAVA_HOME": str(java.home),
            "OPENSEARCH_INITIAL_ADMIN_PASSWORD": ADMIN_PASSWORD,
        }
        subprocess.run(
            ["bash", tools / "install_demo_configuration.sh", "-y", "-i", "-s"],
            cwd=copy, env=environment, check=True, capture_output=True,
        )  # fmt: skip
        make_readable(copy)
        copy.rename(target)
    return target
