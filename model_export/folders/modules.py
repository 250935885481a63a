"""What sentence-transformers does with a text, module by module, as a folder's files say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_export.errors import ExportError
from model_export.folders.files import ModelFiles, join

MODULES_FILE, ROUTER_FILE, POOLING_FILE = "modules.json", "router_config.json", "1_Pooling/config.json"

POOLINGS = {
    "cls": "cls",
    "mean": "mean",
    "lasttoken": "last",
    "weightedmean": "position_mean",
}
"""A mode as sentence-transformers spells it -> the name of a pooling here."""

ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
}

_MODE = "pooling_mode"
SIDES = ("query", "document")
"""What is encoded; sentence-transformers' `encode_query` and `encode_document` take routes of these names."""


@dataclass(frozen=True)
class PoolingModule:
    """A pooling's name, and whether a prompt's tokens count."""

    name: str
    include_prompt: bool = True


@dataclass(frozen=True)
class DenseModule:
    """A linear layer: its folder in the model's, its sizes, and the activation after it."""

    folder: str
    inputs: int
    outputs: int
    has_bias: bool
    activation: str


@dataclass(frozen=True)
class SideModules:
    """What one side's texts go through: a transformer in `folder` ("" is the model's own), a pooling, a head.

    In `head`, None is a vector's normalisation. `pooling` is None if no file names one.
    """

    folder: str
    pooling: PoolingModule | None
    head: tuple[DenseModule | None, ...] = ()

    @property
    def is_normalised(self) -> bool:
        """Whether vectors have length 1 at the end."""
        return bool(self.head) and self.head[-1] is None


@dataclass(frozen=True)
class _Module:
    kind: str
    folder: str


def read_sides(files: ModelFiles) -> dict[str, SideModules]:
    """Return what `query` and `document` texts go through; both are equal unless a Router parts them.

    Raises:
        ExportError: a file is malformed, or names a module or a setting that no bundle can follow.
    """
    if files.find(MODULES_FILE) is None:
        if files.find(ROUTER_FILE) is not None:
            raise ExportError(f"expected {MODULES_FILE} beside {ROUTER_FILE} in {files.root}, found none")
        pooling = _read_pooling(files, POOLING_FILE) if files.find(POOLING_FILE) is not None else None
        side = SideModules("", pooling)
        return dict.fromkeys(SIDES, side)
    listed = files.read_json(MODULES_FILE, list[dict[str, Any]], why="")
    modules = [
        _Module(_check_kind(files, MODULES_FILE, each.get("type")), str(each.get("path") or ""))
        for each in listed
    ]
    return {side: _read_side(files, list(_follow(files, modules, side))) for side in SIDES}


def _follow(files: ModelFiles, modules: list[_Module], side: str) -> Iterator[_Module]:
    """Yield the modules of one side: those of its route in the place of a Router."""
    for module in modules:
        if module.kind == "Router":
            yield from _read_route(files, module.folder, side)
        else:
            yield module


def _read_route(files: ModelFiles, folder: str, side: str) -> list[_Module]:
    name = join(folder, ROUTER_FILE)
    config = files.read_json(name, dict[str, Any], why=f"a Router in {MODULES_FILE} needs it")
    types, structure = config.get("types"), config.get("structure")
    parameters = config.get("parameters") or {}
    if not isinstance(types, dict) or not isinstance(structure, dict) or not isinstance(parameters, dict):
        raise ExportError(f"{files.root / name}: expected types, structure and parameters, found {config}")
    if parameters.get("route_mappings"):
        raise ExportError(
            f"{files.root / name}: expected routes named query and document, found route_mappings"
            f" {parameters['route_mappings']}"
        )
    route = structure.get(side)
    if not isinstance(route, list):
        raise ExportError(
            f"{files.root / name}: expected a route {side}, found {', '.join(map(str, structure))}"
        )
    return [_Module(_check_kind(files, name, types.get(each)), join(folder, str(each))) for each in route]


def _check_kind(files: ModelFiles, name: str, kind: object) -> str:
    """Return a module's class name.

    Raises:
        ExportError: it is code of the model's own, which is never run.
    """
    if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
        raise ExportError(
            f"{files.root / name}: expected modules of sentence_transformers, found {kind!r}: code that comes"
            " with a model is never run"
        )
    return kind.rpartition(".")[2]


def _read_side(files: ModelFiles, modules: list[_Module]) -> SideModules:
    kinds = [module.kind for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= {"Dense", "Normalize", "Dropout"}:
        raise ExportError(
            f"{files.root / MODULES_FILE}: expected the modules Transformer, Pooling, then Dense, Normalize"
            f" or Dropout, found {', '.join(kinds) or 'none'}: a bundle cannot do what others do"
        )
    for module in modules[2:]:
        _check_vector_names(files, module)
    head = tuple(
        _read_dense(files, module.folder) if module.kind == "Dense" else None
        for module in modules[2:]
        if module.kind != "Dropout"
    )
    return SideModules(modules[0].folder, _read_pooling(files, join(modules[1].folder, "config.json")), head)


def _read_pooling(files: ModelFiles, name: str) -> PoolingModule:
    config = files.read_json(name, dict[str, Any], why="it names the pooling")
    modes = [
        key.removeprefix(f"{_MODE}_").removesuffix("_token").removesuffix("_tokens")
        for key, on in config.items()
        if key.startswith(f"{_MODE}_") and on
    ]
    named = config.get(_MODE, [])
    modes += [named] if isinstance(named, str) else named
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise ExportError(
            f"{files.root / name}: expected one pooling mode of {', '.join(POOLINGS)}, found"
            f" {', '.join(map(str, modes)) or 'none'}"
        )
    return PoolingModule(POOLINGS[modes[0]], config.get("include_prompt") is not False)


def _read_dense(files: ModelFiles, folder: str) -> DenseModule:
    name = join(folder, "config.json")
    config = files.read_json(name, dict[str, Any], why="it describes the Dense module")
    place = files.root / name
    activation = config.get("activation_function") or "torch.nn.modules.activation.Tanh"
    if activation not in ACTIVATIONS:
        raise ExportError(
            f"{place}: expected an activation_function of {', '.join(ACTIVATIONS)}, found {activation!r}"
        )
    if config.get("use_residual"):
        raise ExportError(f"{place}: expected use_residual false, found {config['use_residual']!r}")
    sizes = config.get("in_features"), config.get("out_features")
    if not all(type(size) is int and 0 < size <= 65_535 for size in sizes):
        raise ExportError(f"{place}: expected in_features and out_features up to 65535, found {sizes}")
    inputs, outputs = (int(size) for size in sizes if size is not None)
    return DenseModule(folder, inputs, outputs, config.get("bias") is not False, ACTIVATIONS[activation])


def _check_vector_names(files: ModelFiles, module: _Module) -> None:
    """Check that a module after the pooling reads and writes the text's vector.

    Raises:
        ExportError: it changes the vectors of tokens, or another value.
    """
    name = join(module.folder, "config.json")
    config = files.read_json_if_any(name, dict[str, Any]) or {}
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
            raise ExportError(
                f"{files.root / name}: expected {key} sentence_embedding, found {config[key]!r}"
            )
