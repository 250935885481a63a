"""Users whose preferences are known, who search, look from the top, and click what they like.

Each search has documents of known worth. An arm's order sorts them by their worth and noise: the less noise,
the better the arm. Everything between order and report is the product's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from opensearch.settings.experiment import INTERLEAVED, ExperimentMode
from plugin.experiments.attributes import NOBODYS
from plugin.experiments.clicks import Click, Impression
from plugin.experiments.report import ExperimentReport, build_report
from plugin.experiments.team_draft import NO_TEAM, build_coin, draft_teams
from plugin.experiments.unit import Unit
from reranker.arrays import Floats64, Positions

ARMS = ("control", "treatment")
NAME = "simulated"
PATIENCE = 0.8
"""The chance that a user looks at the next hit too."""


@dataclass(frozen=True)
class Population:
    """Users of one experiment.

    `noise` is each arm's, `num_units` how many users there are, each with `searches` searches of a window of
    `num_hits`. `seed` decides everything.
    """

    seed: int
    noise: tuple[float, float]
    num_units: int = 300
    searches: int = 2
    num_hits: int = 8

    def run(self, mode: ExperimentMode, looks: int = 3) -> list[ExperimentReport]:
        """Return the reports of some looks while users arrive, the last when all are there."""
        visits = list(self._visit(mode))
        sizes = [round(len(visits) * (look + 1) / looks) for look in range(looks)]
        return [
            build_report(
                NAME,
                mode,
                "run",
                ARMS,
                (page for page, _ in visits[:size]),
                (click for _, clicks in visits[:size] for click in clicks),
            )
            for size in sizes
        ]

    def _visit(self, mode: ExperimentMode) -> Iterator[tuple[Impression, list[Click]]]:
        chance = np.random.default_rng(self.seed)
        for number in range(self.num_units):
            unit = Unit.build(NAME, str(self.seed), f"user-{number}")
            for search in range(self.searches):
                name = f"{number}-{search}"
                worth = chance.exponential(size=self.num_hits)
                orders = [
                    np.argsort(-(worth + chance.normal(0, noise, self.num_hits))) for noise in self.noise
                ]
                page = _show(mode, unit, name, orders)
                yield page, [Click(name, each) for each in _click(page, worth, chance)]


def _show(mode: ExperimentMode, unit: Unit, name: str, orders: list[Positions]) -> Impression:
    if mode == "split":
        arm = unit.choose(ARMS)
        order = orders[ARMS.index(arm)].tolist()
        return Impression(name, unit.code, arm, tuple(map(str, order)), query=name)
    drafted = draft_teams(orders[0], orders[1], build_coin(NAME, unit.name, name))
    teams = tuple(NOBODYS if team == NO_TEAM else ARMS[team] for team in drafted.teams)
    return Impression(name, unit.code, INTERLEAVED, tuple(map(str, drafted.order.tolist())), teams, name)


def _click(page: Impression, worth: Floats64, chance: np.random.Generator) -> Iterator[str]:
    """Yield what a user clicks: the worthier a hit, the likelier, as far down as the user looks."""
    for hit in page.hit_ids:
        if chance.random() < 1 - np.exp(-worth[int(hit)] / 2):
            yield hit
        if chance.random() > PATIENCE:
            return
