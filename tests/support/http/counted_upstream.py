"""An upstream that counts what is asked."""

from typing import Any

from plugin.upstream.client import Exchange, Upstream


class CountingUpstream(Upstream):
    """Counts what is asked, by path."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []

    def exchange(self, method: str, target: str, *rest: Any, **more: Any) -> Exchange:  # noqa: ANN401
        self.asked.append(target.partition("?")[0])
        return super().exchange(method, target, *rest, **more)
