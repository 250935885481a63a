"""What a compose file or the chart says of one container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.containers.image import ImageConfig
from tests.support.paths import ROOT

Contents = Mapping[str, Mapping[str, bytes]]
"""Of each Secret and ConfigMap: its keys, with what they hold."""


@dataclass(frozen=True)
class ContainerSettings:
    """A container: its command, who runs it, and where it may write.

    `files` are single files that are mounted for reading: path -> content. `volumes` are empty folders
    to write to.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    user: int
    group: int
    files: dict[str, bytes]
    volumes: tuple[str, ...]
    has_read_only_root: bool
    drops_all_capabilities: bool
    forbids_new_privileges: bool


def read_service(file: str, image: ImageConfig, secrets: Mapping[str, bytes]) -> ContainerSettings:
    """Return the service `twinrank` of a compose file, a path from the checkout.

    The first group of an image's user is root's if the image does not name one that it has made; ours has its
    own, of the same number.
    """
    service = yaml.safe_load((ROOT / file).read_text())["services"]["twinrank"]
    return ContainerSettings(
        (*image.entrypoint, *service.get("command", image.command)),
        image.environment | service["environment"],
        image.folder,
        image.user,
        image.user,
        {f"/run/secrets/{name}": secrets[name] for name in service.get("secrets", ())},
        tuple(service["tmpfs"]),
        service["read_only"],
        service["cap_drop"] == ["ALL"],
        "no-new-privileges:true" in service["security_opt"],
    )


def read_pod(pod: dict[str, Any], image: ImageConfig, contents: Contents) -> ContainerSettings:
    """Return the one container of a pod's template, as the chart writes it."""
    [container] = pod["containers"]
    rights, safety = container["securityContext"], pod["securityContext"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    files, volumes = dict[str, bytes](), list[str]()
    for volume in pod["volumes"]:
        place = mounts[volume["name"]]
        if "emptyDir" in volume:
            volumes.append(place)
        else:
            files |= {f"{place}/{path}": content for path, content in _read_volume(volume, contents)}
    return ContainerSettings(
        (*image.entrypoint, *container["args"]),
        image.environment | {each["name"]: _read_variable(each, contents) for each in container["env"]},
        image.folder,
        safety["runAsUser"],
        safety["runAsGroup"],
        files,
        tuple(volumes),
        rights["readOnlyRootFilesystem"],
        rights["capabilities"]["drop"] == ["ALL"],
        not rights["allowPrivilegeEscalation"],
    )


def _read_volume(volume: dict[str, Any], contents: Contents) -> list[tuple[str, bytes]]:
    source = volume.get("secret") or volume["configMap"]
    held = contents[source.get("secretName") or source["name"]]
    items = source.get("items") or [{"key": key, "path": key} for key in held]
    return [(item["path"], held[item["key"]]) for item in items]


def _read_variable(variable: dict[str, Any], contents: Contents) -> str:
    if "value" in variable:
        return str(variable["value"])
    key = variable["valueFrom"]["secretKeyRef"]
    return contents[key["name"]][key["key"]].decode()
