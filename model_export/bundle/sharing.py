"""Let a bundle name files and tensors of other bundles, in place of having them itself."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import onnx

from model_export.bundle.manifest_file import hash_file, write_values
from model_export.bundle.whole_copy import fill_folder
from model_export.errors import ExportError
from model_export.model.new_folder import make_folder
from model_export.onnx.weights import TensorPlace, WeightFile, locate_tensors, read_tensors, refer
from reranker.bundle import Bundle
from reranker.manifest import FILE_NAME, SharedFile


def share_bundle(bundle: Bundle, others: Sequence[Bundle], out: Path) -> Bundle:
    """Write a copy of a bundle as `out` that shares what `others` have.

    Raises:
        ExportError: `out` exists or cannot be written, or `others` have nothing of the bundle.
        BundleError: one of `others` would not be found from `out`: it is neither beside it nor shipped.
    """
    with make_folder(out, "bundle") as folder:
        fill_folder(bundle, folder)
        share_in_place(folder, others)
    return Bundle.open(out)


def share_in_place(folder: Path, others: Sequence[Bundle]) -> None:
    """Remove what `others` have from a bundle that has all its files, and name it there.

    A file that another bundle has is shared whole. Of the query graph's own weights, each tensor that another
    bundle has is shared. Its documents' vectors stay the same, and so do `document_digest` and tag.

    Raises:
        ExportError: `others` have nothing of the bundle.
        BundleError: one of `others` would not be found from the folder.
    """
    sharing = _Sharing(Bundle.open(folder))
    for other in others:
        sharing.share_files(other)
    sharing.share_query_tensors(others)
    if not sharing.shared:
        names = ", ".join(str(other.path) for other in others)
        raise ExportError(f"expected files of {folder} in {names}, found none: there is nothing to share")
    sharing.write()
    Bundle.open(folder)


@dataclass
class _Sharing:
    """A bundle's manifest while its files become shared ones."""

    bundle: Bundle
    shared: dict[str, SharedFile] = field(default_factory=dict)
    checksums: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.checksums = dict(self.bundle.manifest.checksums)

    def share_files(self, other: Bundle) -> None:
        """Share every file that `other` has under any name."""
        names = {checksum: name for name, checksum in other.manifest.checksums.items()}
        for name, checksum in self.checksums.items():
            if checksum in names and name not in self.shared:
                self.shared[name] = _find_owner(other, names[checksum])

    def share_query_tensors(self, others: Sequence[Bundle]) -> None:
        """Share the tensors of the query graph's own weights that `others` have.

        Weights that the document graph reads too are left as they are.
        """
        query, document = self.bundle.manifest.query.file, self.bundle.manifest.document.file
        if query in self.shared or query == document:
            return
        model = onnx.load(self.bundle.files[query], load_external_data=False)
        documents = locate_tensors(self.bundle.files[document], self.bundle.files)
        kept = {*self.shared, *(file for file, _ in documents.values())}
        tensors = [each for each in read_tensors(model, self.bundle.files) if each[1][0] not in kept]
        places = {key: place for other in reversed(others) for key, place in _locate_all(other).items()}
        if not any(hashlib.sha256(raw).digest() in places for _, _, raw in tensors):
            return
        self._move_tensors(model, tensors, places)

    def _move_tensors(
        self,
        model: onnx.ModelProto,
        tensors: Sequence[tuple[onnx.TensorProto, TensorPlace, bytes]],
        places: dict[bytes, tuple[SharedFile, str, int]],
    ) -> None:
        """Let the graph read these tensors from other bundles, and the rest from one file of its own."""
        own = WeightFile(tensors[0][1][0])
        for name in {place[0] for _, place, _ in tensors}:
            del self.checksums[name]
        rest = [each for each in tensors if hashlib.sha256(each[2]).digest() not in places]
        for tensor, _, raw in rest:
            refer(tensor, own.store(raw), len(raw))
        folder = self.bundle.path
        if rest:
            own.write(folder)
            self.checksums[own.file] = hash_file(folder / own.file)
        for tensor, _, raw in tensors:
            if found := places.get(hashlib.sha256(raw).digest()):
                shared, checksum, offset = found
                refer(tensor, (self._name_file(shared, checksum), offset), len(raw))
        query = self.bundle.manifest.query.file
        onnx.save(model, folder / query)
        self.checksums[query] = hash_file(folder / query)

    def _name_file(self, shared: SharedFile, checksum: str) -> str:
        """Return this bundle's name of a shared file: the file's own, unless another file has it."""
        for name, known in self.shared.items():
            if known == shared:
                return name
        name = shared.file if shared.file not in self.checksums else f"{shared.bundle}.{shared.file}"
        self.shared[name], self.checksums[name] = shared, checksum
        return name

    def write(self) -> None:
        """Write the manifest, and remove files that are no longer the bundle's own."""
        folder = self.bundle.path
        values: dict[str, Any] = msgspec.json.decode((folder / FILE_NAME).read_bytes())
        values["checksums"] = dict(sorted(self.checksums.items()))
        values["shared"] = msgspec.to_builtins(dict(sorted(self.shared.items())))
        write_values(folder, values)
        for name in {*self.bundle.files} - ({*self.checksums} - {*self.shared}):
            (folder / name).unlink()


def _find_owner(bundle: Bundle, name: str) -> SharedFile:
    """Return where a bundle's file really is: a bundle that shares it is not needed to find it."""
    return bundle.manifest.shared.get(name, SharedFile(bundle.path.resolve().name, name))


def _locate_all(bundle: Bundle) -> dict[bytes, tuple[SharedFile, str, int]]:
    """Return the file, its checksum and the offset of each external tensor of both graphs, by its SHA-256."""
    manifest = bundle.manifest
    return {
        key: (_find_owner(bundle, file), manifest.checksums[file], offset)
        for tower in (manifest.document, manifest.query)
        for key, (file, offset) in locate_tensors(bundle.files[tower.file], bundle.files).items()
    }
