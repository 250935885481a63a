"""Search pipelines of hybrid search as OpenSearch 3.x answers them: its neural-search plugin is not at hand.

The forms follow github.com/opensearch-project/neural-search (3.8): `NormalizationProcessorFactory` and
`RRFProcessorFactory`, `ZScoreNormalizationTechnique` for the scores, and `GetSearchPipelineResponse` of
OpenSearch itself.
"""

from typing import Any

Z_SCORE: dict[str, Any] = {
    "description": "z-scores of both parts",
    "phase_results_processors": [
        {
            "normalization-processor": {
                "normalization": {"technique": "z_score"},
                "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.4, 0.6]}},
            }
        }
    ],
}
BOUNDED: dict[str, Any] = {
    "phase_results_processors": [
        {
            "normalization-processor": {
                "normalization": {
                    "technique": "min_max",
                    "parameters": {"lower_bounds": [{"mode": "clip", "min_score": 0.5}, {"mode": "ignore"}]},
                }
            }
        }
    ]
}
WEIGHTED_RANKS: dict[str, Any] = {
    "phase_results_processors": [
        {
            "score-ranker-processor": {
                "combination": {
                    "technique": "rrf",
                    "rank_constant": 20,
                    "parameters": {"weights": [0.7, 0.3]},
                }
            }
        }
    ]
}
EXPLAINED: dict[str, Any] = {**Z_SCORE, "response_processors": [{"hybrid_score_explanation": {}}]}

Z_SCORES = (1.7316, 1.1602, 0.8405, 0.4009, 0.0007)
"""Scores of hits under Z_SCORE: means of two z-scores each, of which none is below 0.001."""
