"""Plans searches: what their indices' settings and the request decide together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

import msgspec

from opensearch.rawjson.validation import InvalidError
from opensearch.search.decision import Decision, InvalidControls, plan_search
from opensearch.search.hybrid import list_undefined
from opensearch.search.plan import Plan
from opensearch.search.point_in_time import read_indices
from opensearch.search.request import SearchRequest
from opensearch.search.rules import RuleEffects
from opensearch.search.window_request import can_split
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from plugin.encoding.model import Model
from plugin.experiments.assignment import Assignment, assign
from plugin.http.caller import select_identity
from plugin.http.messages import Request
from plugin.search.breaker import UpstreamBreaker, find_kind
from plugin.search.cluster import has_script
from plugin.search.page_agreement import PageAgreement
from plugin.search.rules import find_effects
from plugin.search.search import Search
from plugin.settings.cache import SettingsCache
from plugin.settings.languages import LanguageCache
from plugin.telemetry.outcome import OVERLOADED
from plugin.ubi.recorder import RecordedSearch, UbiRecorder
from reranker.threshold import is_calibrated


class SearchPlanner:
    """Plans searches for one model; those of one caller are planned with what the caller may see."""

    def __init__(
        self,
        settings: SettingsCache,
        model: Model,
        pages: PageAgreement | None = None,
        recorder: UbiRecorder | None = None,
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._model = model
        self._pages = pages or PageAgreement()
        scripts = model.scripts
        self._languages = (
            None if scripts is None else LanguageCache(settings.upstream, scripts, waits=settings.waits)
        )
        self._no_script = None if has_script(model) else "crossing"
        self.breaker = UpstreamBreaker()
        self.on_experiment: Callable[[str], None] = lambda word: None

    def plan(
        self,
        request: Request,
        indices: str,
        asked: SearchRequest | Skip,
        *,
        target: Target | None = None,
        rules: RuleEffects | None = None,
        fallback: str | None = None,
    ) -> Search:
        """Plan one search; `fallback` says why OpenSearch cannot rescore it.

        Args:
            request: the client's.
            indices: the indices part of the search's path.
            asked: the search, or why it cannot be read.
            target: what its indices say; None: look it up.
            rules: what the rules that apply to it do; None: find them, and put no pins into its page.
            fallback: why OpenSearch cannot rescore it, None if it may.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        target = self._define_pipelines(request, target or self.find_target(request, indices, asked), asked)
        rules = find_effects(asked, target) if rules is None else rules
        try:
            recorded = self.take_recorded(asked)
        except InvalidError as error:
            page = self._pages.find_page(request, asked, target, InvalidControls(str(error)))
            return Search(request, indices, asked, target, InvalidControls(str(error)), None, page)
        decision, assignment = (
            (Decision(asked), None)
            if isinstance(asked, Skip)
            else self._decide(request, asked, recorded, target, fallback, rules)
        )
        if recorded is not None and assignment is not None and assignment.unit is not None:
            recorded = replace(recorded, is_left_to_plugin=False)  # which knows nothing of arms
        sent = asked if recorded is None else recorded.sent
        page = self._pages.find_page(request, sent, target, decision.plan)
        plan, forward = page.follow(decision.plan), decision.forward
        if recorded is not None:
            forward = recorded.choose_forward(forward)
        search = Search(
            request,
            indices,
            sent,
            target,
            plan,
            forward,
            page,
            recorded,
            assignment,
            decision.compared,
            plain=forward,
            rules=rules,
        )
        if isinstance(asked, Skip):
            return search
        if plan == Skip("upstream"):  # a breaker is open
            return search.drop_rules()
        return replace(search, forward=rules.hide_in(forward or asked)) if rules.hidden else search

    def refuse(self, request: Request, indices: str, asked: SearchRequest | Skip, target: Target) -> Search:
        """Return a search that is not reranked since the worker has too much to do, and that needs no plan.

        Its later pages are not reranked either.
        """
        busy = Skip(OVERLOADED)
        page = self._pages.find_page(request, asked, target, busy)
        return Search(request, indices, asked, target, busy, None, page)

    def take_recorded(self, asked: SearchRequest | Skip) -> RecordedSearch | None:
        """Return what is recorded of a search, None if nothing is.

        Raises:
            InvalidError: its `ext.ubi` is not what it must be.
        """
        return None if self._recorder is None or isinstance(asked, Skip) else self._recorder.take(asked)

    def shows(self, request: Request, search: SearchRequest) -> bool:
        """Whether the caller may see the settings of a search's indices.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        return self._settings.are_shown(request, search.path.rpartition("/")[0][1:])

    def _decide(
        self,
        request: Request,
        asked: SearchRequest,
        recorded: RecordedSearch | None,
        target: Target,
        fallback: str | None,
        rules: RuleEffects,
    ) -> tuple[Decision, Assignment | None]:
        """Decide about a search whose indices' settings are known, and which part it has in an experiment.

        A search that no arm would rerank has none.
        """
        model = self._model
        target = _for_model(target, model.vectors_of)
        settings = target.settings
        assignment = (
            None if isinstance(settings, Skip) else assign(request, asked, settings, self._find_bundles)
        )
        if assignment is not None and not isinstance(settings, Skip):
            target = replace(target, settings=assignment.change_settings(settings))
            fallback = fallback or assignment.fallback
        defaults = model.choose("" if assignment is None else assignment.bundle).fusion
        sent = asked if recorded is None else recorded.sent
        decision = plan_search(
            sent, target, defaults=defaults, fallback=self._no_script or fallback, rules=rules
        )
        plan = decision.plan
        if not isinstance(plan, Plan):
            return decision, None
        if plan.settings.model != model.vectors_of:
            return replace(decision, plan=Skip("model")), None
        if not self._reads_query(plan):
            return replace(decision, plan=Skip("language")), None
        if plan.settings.min_probability is not None and not self._are_calibrated(assignment):
            return replace(decision, plan=Skip("uncalibrated")), None
        if plan.must_split and (fallback not in (None, "pin") or not can_split(plan)):
            return replace(decision, plan=Skip("docvalue_fields")), None
        request.context.note_query(plan.query_text)
        if assignment is not None and not isinstance(settings, Skip):
            self.on_experiment(assignment.word)
            decision = assignment.change_decision(
                decision, settings, lambda bundle: model.choose(bundle).fusion
            )
        is_stopped = isinstance(decision.plan, Plan) and self.breaker.is_open(
            find_kind(request, plan.request)
        )
        return replace(decision, plan=Skip("upstream")) if is_stopped else decision, assignment

    def _find_bundles(self, names: Sequence[str]) -> Sequence[str] | None:
        """Return the own bundle and those of these names, with versions; None while one is not loaded."""
        found = self._model.find_all(names)
        return None if found is None else [self._model.bundle, *(each.bundle for each in found)]

    def _are_calibrated(self, assignment: Assignment | None) -> bool:
        """Whether every bundle that may order the search knows probabilities."""
        names = () if assignment is None or assignment.unit is None else assignment.experiment.bundles
        return all(is_calibrated(self._model.choose(name).crossing) for name in ("", *names))

    def _reads_query(self, plan: Plan) -> bool:
        """Whether the model reads the query's script and, on an index of several languages, its language."""
        if plan.settings.languages == "any":
            return True
        is_foreign = bool(plan.settings.index_languages) and self._model.is_foreign(plan.query_text)
        return self._model.reads(plan.query_text) and not is_foreign

    def find_target(self, request: Request, indices: str, asked: SearchRequest | Skip) -> Target:
        """Return what a search's indices say.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        parameters = {} if isinstance(asked, Skip) else asked.parameters
        if not isinstance(asked, Skip) and "pit" in asked.body:
            behind = _behind_the_point_in_time(asked)
            return Target(Skip("pit")) if behind is None else self._look_up(request, behind, parameters)
        local = ",".join(name for name in indices.split(",") if not _is_remote(name))
        if local == indices:
            return self._look_up(request, local, parameters)
        remote = Skip("remote_indices")
        if not local:
            return Target(remote)
        return replace(self._settings.find_target(request, local, parameters), settings=remote)

    def _define_pipelines(self, request: Request, target: Target, asked: SearchRequest | Skip) -> Target:
        """Return the target with the definitions of the search pipelines that decide about a search."""
        if isinstance(asked, Skip) or not target.is_ours:
            return target
        try:
            names = list_undefined(asked, target)
        except (msgspec.DecodeError, RecursionError):
            return target
        return self._settings.define_pipelines(target, names, request.headers)

    def _look_up(self, request: Request, indices: str, parameters: Mapping[str, str]) -> Target:
        """Return what local indices say, and whether their language is one that the model reads."""
        target = self._settings.find_target(request, indices, parameters)
        settings = target.settings
        if self._languages is None or not isinstance(settings, RerankSettings) or settings.languages == "any":
            return target
        language = settings.main_language
        if language is not None and not self._model.reads_language(language):
            return replace(target, settings=Skip("language"))
        caller, fields = select_identity(request), settings.source_fields
        if self._languages.are_unreadable(indices, fields, caller):
            return replace(target, settings=Skip("language"))
        return target


def _for_model(target: Target, model: str) -> Target:
    """Return the target with the settings of this bundle's field: a change of model has two."""
    settings = target.settings if isinstance(target.settings, Skip) else target.settings.for_model(model)
    return target if settings is None else replace(target, settings=settings)


def _is_remote(name: str) -> bool:
    """Whether an index's name in a path names another cluster; date math has colons too."""
    plain = unquote(name)
    return ":" in plain and not plain.lstrip("-").startswith("<")


def _behind_the_point_in_time(search: SearchRequest) -> str | None:
    try:
        return read_indices(search.member("pit"))
    except (msgspec.DecodeError, RecursionError):
        return None
