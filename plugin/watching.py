"""Who watches what: each part of a worker is handed the counters that it tells."""

from plugin.encoding.model import Model
from plugin.search.breaker import UpstreamBreaker
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.upstream.client import Upstream


def watch(
    metrics: Metrics, upstream: Upstream, model: Model, settings: SettingsCache, breaker: UpstreamBreaker
) -> None:
    """Let a worker's parts tell its counters what they do."""
    metrics.serves(model.name, model.digest)
    model.query_vectors.watcher = metrics.encoding
    model.admission.on_refused = metrics.admission.refused
    model.documents.on_encoded = metrics.writes.encoded
    upstream.watch_hosts(metrics.breakers.left_out)
    breaker.on_change = lambda num_open, tripped: metrics.breakers.changed(
        "upstream", num_open, tripped=tripped
    )
    if settings.poller is not None:
        settings.poller.on_poll = metrics.settings.polled
