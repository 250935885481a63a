"""A search's fusion with the bundle's values for what its settings leave open."""

import pytest

from opensearch.settings.fusion import FusionSettings, ResolvedFusion
from reranker.manifest import FusionDefault

BUNDLE = FusionDefault("log_linear", 7.0, 0.4, 0.3)


@pytest.mark.parametrize(("settings", "resolved"), [
    (FusionSettings(), ResolvedFusion("log_linear", 7.0, 60, 0.4, 0.3)),
    (FusionSettings(weight=0, feedback=0, smoothing=0), ResolvedFusion("log_linear", 0, 60, 0, 0)),
    (FusionSettings("weighted"), ResolvedFusion("weighted", None, 60, 0, 0)),
    (FusionSettings("weighted", 0.5, feedback=1), ResolvedFusion("weighted", 0.5, 60, 1, 0)),
    (FusionSettings("rrf", rank_constant=9, smoothing=0.1), ResolvedFusion("rrf", None, 9, 0, 0.1)),
    (FusionSettings("none", feedback=1, smoothing=1), ResolvedFusion("none", None, 60, 0, 0)),
])  # fmt: skip
def test_only_log_linear_takes_the_bundles_values(settings: FusionSettings, resolved: ResolvedFusion) -> None:
    assert settings.resolve(BUNDLE) == resolved
