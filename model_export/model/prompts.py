"""What a sentence-transformers model puts before queries and passages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.errors import ExportError

PROMPTS_FILE = "config_sentence_transformers.json"
_DOCUMENT_NAMES = ("document", "passage", "corpus")
"""Names under which sentence-transformers looks for a document's prompt, in this order."""


@dataclass(frozen=True)
class PromptChoice:
    """What somebody chose for one side: the name of one of the folder's prompts, a text, or neither."""

    name: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class FolderPrompts:
    """The prompts of a folder by name, and the one for texts of no kind."""

    prompts: Mapping[str, str]
    default: str | None = None

    def find_query(self, choice: PromptChoice) -> str:
        """Return what is put before a query.

        Raises:
            ExportError: there is no prompt of the chosen name, or several that may be meant.
        """
        if (chosen := self._find_chosen(choice)) is not None:
            return chosen
        candidates = self.find_query_candidates()
        if len(candidates) > 1 or "" not in candidates:
            raise ExportError(
                f"expected a prompt named query in {PROMPTS_FILE}, found {', '.join(candidates)}: choose one"
                ' with --query-prompt NAME, or none with --query-prefix ""'
            )
        return candidates[""]

    def find_query_candidates(self) -> dict[str, str]:
        """Return the prompts that may be for queries, by name; the name is empty if only one can be."""
        if "query" in self.prompts:
            return {"": self.prompts["query"]}
        if self.default is not None:
            return {"": self.prompts[self.default]}
        others = {name: text for name, text in self.prompts.items() if name not in _DOCUMENT_NAMES and text}
        return others or {"": ""}

    def find_document(self, choice: PromptChoice) -> str:
        """Return what is put before a document.

        Raises:
            ExportError: there is no prompt of the chosen name.
        """
        if (chosen := self._find_chosen(choice)) is not None:
            return chosen
        usual = self.prompts[self.default] if self.default is not None else ""
        return next((self.prompts[name] for name in _DOCUMENT_NAMES if name in self.prompts), usual)

    def _find_chosen(self, choice: PromptChoice) -> str | None:
        if choice.text is not None or choice.name is None:
            return choice.text
        if choice.name not in self.prompts:
            raise ExportError(
                f"expected a prompt of {', '.join(self.prompts) or 'none'} in {PROMPTS_FILE}, found"
                f" {choice.name!r}"
            )
        return self.prompts[choice.name]


def parse_prompts(config: Mapping[str, Any], place: Path, *, is_normalised: bool) -> FolderPrompts:
    """Return the prompts of a folder.

    Args:
        config: what `PROMPTS_FILE` holds, empty if there is none.
        place: that file, for messages.
        is_normalised: whether the folder's vectors have length 1.

    Raises:
        ExportError: the file is malformed, or vectors are compared by their lengths too.
    """
    similarity = config.get("similarity_fn_name") or "cosine"
    if similarity != "cosine" and not (is_normalised and similarity in ("dot", "euclidean")):
        raise ExportError(
            f"{place}: expected similarity_fn_name cosine, or a Normalize module, found {similarity!r}: a"
            " bundle compares the directions of vectors, not their lengths"
        )
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ExportError(f"{place}: expected prompts as names and texts, found {prompts!r}")
    default = config.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise ExportError(
            f"{place}: expected default_prompt_name of {', '.join(prompts) or 'none'}, found {default!r}"
        )
    return FolderPrompts(prompts, default)
