"""The fuse of each worker on the same rollups, without a process around it; and what is known without a registry."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import StorageError
from mlops_dagster.predictions import Answered, PredictionRecord, Role
from mlops_dagster.registry import Stage, estimators
from mlops_dagster.rollout import Phase, RolloutPolicy
from mlops_dagster.serving.deployed.artifacts import Artifacts
from mlops_dagster.serving.deployed.registry_cache import Known, RegistryCache
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support import weed
from tests.support.proxy import Proxy
from tests.support.serving.data_plane import NOW, Models, behind
from tests.support.serving.light import light_artifacts

MODEL = "fused"
HOUR = timedelta(hours=1)


@dataclass
class Stepped:
    """A clock that somebody sets."""

    time: datetime

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    yield Models(stores, light_artifacts(tmp_path))
    stores.registry.close()


def rollout(models: Models) -> Known:
    """A canary at half of the traffic."""
    stores = models.stores
    models.champion(MODEL)
    registered = models.register(MODEL, "1.1.0")
    epoch = stores.registry.deployment(MODEL).epoch
    started = stores.rollouts.start(MODEL, "1.0.0", "1.1.0", RolloutPolicy(), epoch, NOW)
    stores.registry.transition(registered, Stage.CANARY, weight=0.5)
    stores.rollouts.change(started.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5))
    return Known(stores.registry.deployment(MODEL), stores.rollouts.active(MODEL))


def watch(models: Models) -> None:
    """The same, promoted: the old champion is its shadow."""
    known = rollout(models)
    assert known.rollout is not None
    stores = models.stores
    stores.registry.transition(stores.registry.get(MODEL, "1.1.0"), Stage.PRODUCTION, watched=True)
    stores.rollouts.change(known.rollout.id, lambda seen: replace(seen, phase=Phase.WATCH, weight=1.0, promoted_at=NOW))


@contextmanager
def workers(models: Models, clock: Stepped, number: int, database_url: str | None = None) -> Iterator[list[Service]]:
    settings = models.stores.settings
    if database_url is not None:
        settings = settings.model_copy(update={"database_url": database_url})
    with ExitStack() as stack:
        services = [Service(settings, clock) for _ in range(number)]
        for service in services:
            service.deployments.refresh()
            service.deployments.wait_for_loads(20)
            service.deployments.refresh()
            stack.callback(service.stop)
        yield services


def answer(service: Service, requests: int, at: datetime, *, canary_fails: bool, watched: bool = False) -> None:
    """As many of the canary as of the champion, recorded and counted; watched, as its successor and its shadow."""
    roles: dict[Role, str] = {"champion": "1.0.0", "canary": "1.1.0"}
    beside: dict[Role, Answered] = {}
    if watched:
        roles = {"champion": "1.1.0", "shadow": "1.0.0"}
        beside = {"shadow": Answered("1.1.0", "champion", "failed" if canary_fails else "ok")}
    service.stores.spool.append([
        PredictionRecord(
            prediction_id=f"{at:%H%M}-{role}-{number}", request=f"{at:%H%M}-{role}-{number}", model=MODEL,
            version=version,
            role=role, weight=0.5, epoch=1, salt="salt", key=None, event_time=at, received_at=at,
            status="failed" if canary_fails and version == "1.1.0" else "ok", error=None, features={},
            prediction=None, score=None, latency_ms=1.0, process="test", row=0,
            beside=beside.get(role),
        )
        for number in range(requests) for role, version in roles.items()
    ])  # fmt: skip
    service.flush(log=False)


def canaries(services: list[Service]) -> list[str | None]:
    return [service.deployments.get(MODEL).deployment.canary for service in services]


def test_every_worker_cuts_off_by_itself_and_the_registry_hears_of_it_once(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    rollout(models)
    with workers(models, Stepped(NOW + HOUR), 2) as services:
        answer(services[0], 60, NOW + HOUR, canary_fails=True)
        assert canaries(services) == [None, "1.1.0"], "a flush lets the fuse of its worker look"
        services[1].fuse.check()
        assert canaries(services) == [None, None]
        for service in services * 2:
            service.fuse.tell()
        kinds = [event.kind for event in models.stores.registry.history(MODEL)]
        assert kinds.count("rollback") == 1
        assert not [line for line in caplog.records if line.levelno >= logging.ERROR]
        for service in services:
            service.deployments.refresh()
        assert canaries(services) == [None, None]


def test_what_k_replicas_see_together_is_proven_as_soon_as_one_would_have(
    postgresql: str, tmp_path: Path, models: Models
) -> None:
    """Each of them alone has too little; together they have what is proof for one."""
    clock = Stepped(NOW + HOUR)
    rollout(models)
    with workers(models, clock, 1) as (alone,):
        needed = next(failures for failures in range(1, 60) if _cut_off_after(alone, clock, failures))

    replicas = 3
    homes = [tmp_path / f"replica-{number}" for number in range(replicas)]
    houses = [Stores(Settings(home=home, database_url=postgresql), actor="test") for home in homes]
    rollout(Models(houses[0], light_artifacts(tmp_path)))
    for home in homes[1:]:
        (home / "artifacts").symlink_to(homes[0] / "artifacts")
    with ExitStack() as stack:
        services = [
            service
            for stores in houses
            for service in stack.enter_context(workers(Models(stores, models.artifacts), clock, 1))
        ]
        for service in services:
            for _ in range(-(-needed // replicas)):
                answer(service, 1, clock.now(), canary_fails=True)
        for service in services:
            service.fuse.check()
        assert canaries(services[:-1]) == ["1.1.0"] * (replicas - 1), "what each has seen itself is no proof"
        for service in services:
            service.fuse.check_shared()
        assert canaries(services) == [None] * replicas
        for service in services:
            service.fuse.tell()
        kinds = [event.kind for event in houses[0].registry.history(MODEL)]
        assert kinds.count("rollback") == 1
    for stores in houses:
        stores.registry.close()


def _cut_off_after(service: Service, clock: Stepped, failures: int) -> bool:
    """One failure more, and whether it was the one that proves it."""
    answer(service, 1, clock.now() + timedelta(seconds=failures), canary_fails=True)
    return canaries([service]) == [None]


def in_force(services: list[Service]) -> list[tuple[str | None, tuple[str, ...]]]:
    deployments = [service.deployments.get(MODEL).deployment for service in services]
    return [(deployment.champion, deployment.shadows) for deployment in deployments]


@pytest.mark.parametrize("over", [False, True])
def test_a_new_champion_that_fails_in_its_watch_gives_way_to_the_old_one_while_the_database_is_away(
    postgresql: str, proxy: Proxy, tmp_path: Path, over: bool
) -> None:
    """What was proven counts, though the watch is `over` by the time the registry can be told."""
    stores = Stores(Settings(home=tmp_path / "home", database_url=postgresql), actor="test")
    models, bad, good = Models(stores, light_artifacts(tmp_path)), ("1.1.0", ("1.0.0",)), ("1.0.0", ())
    watch(models)
    clock = Stepped(NOW + HOUR)
    with workers(models, clock, 2, behind(proxy, postgresql)) as services:
        answer(services[0], 60, clock.now(), canary_fails=False, watched=True)
        services[1].fuse.check()
        assert in_force(services) == [bad, bad]
        proxy.cut()
        with pytest.raises(StorageError):  # what is for others has to wait; what is counted here is counted
            answer(services[0], 60, clock.now(), canary_fails=True, watched=True)
        services[0].fuse.check()
        assert in_force(services) == [good, bad]
        services[1].fuse.check()
        assert in_force(services) == [good, good]
        for service in services:
            for act in (service.deployments.refresh, service.fuse.tell):
                with pytest.raises(StorageError):
                    act()
        assert in_force(services) == [good, good]
        assert stores.registry.deployment(MODEL).champion == "1.1.0", "the registry could not be told"

        if over:
            stores.registry.transition(stores.registry.get(MODEL, "1.0.0"), Stage.DEPRECATED)
        proxy.heal()
        for service in services * 2:
            service.fuse.tell()
        kinds = [event.kind for event in stores.registry.history(MODEL)]
        assert (kinds.count("rollback"), stores.registry.deployment(MODEL).champion) == (1, "1.0.0")
        assert stores.registry.get(MODEL, "1.1.0").rolled_back
        for service in services:
            service.deployments.refresh()
        assert in_force(services) == [good, good]
    stores.registry.close()
    stores.rollouts.close()


def test_a_champion_that_a_person_promotes_while_it_is_cut_off_answers(models: Models) -> None:
    known = rollout(models)
    registry = models.stores.registry
    with workers(models, Stepped(NOW + HOUR), 1) as services:
        answer(services[0], 60, NOW + HOUR, canary_fails=True)
        assert canaries(services) == [None]
        registry.transition(registry.get(MODEL, "1.1.0"), Stage.PRODUCTION, reason="I know better")
        services[0].deployments.refresh()
        services[0].fuse.tell()
        services[0].fuse.check()
        assert in_force(services) == [("1.1.0", ())]
        assert registry.deployment(MODEL).epoch == known.deployment.epoch + 1
    (alert,) = models.stores.alerts.list(MODEL)
    assert (alert.rule, alert.severity, alert.subject) == ("fuse_untold", "critical", "1.1.0")


def test_a_clock_that_is_set_back_hides_no_evidence_and_one_set_forward_makes_none(models: Models) -> None:
    rollout(models)
    clock = Stepped(NOW + 3 * HOUR)
    with workers(models, clock, 1) as services:
        answer(services[0], 60, clock.now(), canary_fails=False)
        clock.time += 365 * 24 * HOUR
        answer(services[0], 60, clock.now(), canary_fails=False)
        services[0].fuse.check()
        assert canaries(services) == ["1.1.0"]
        clock.time = NOW + 3 * HOUR
        answer(services[0], 3, clock.now() + 2 * HOUR, canary_fails=True)  # stamped before the clock was set back
        clock.time = NOW + 2 * HOUR
        answer(services[0], 60, clock.now() + 4 * HOUR, canary_fails=True)
        assert canaries(services) == [None]


def test_what_was_known_last_survives_and_an_older_deployment_does_not_come_back(
    models: Models, tmp_path: Path
) -> None:
    known = rollout(models)
    version = models.stores.registry.get(MODEL, "1.1.0")
    path = tmp_path / "last_known.sqlite"
    first, second = RegistryCache(path), RegistryCache(path)
    first.note(known)
    first.note_version(version)
    second.note(Known(replace(known.deployment, epoch=known.deployment.epoch - 1, canary=None), None))
    second.close()
    first.close()
    again = RegistryCache(path)
    assert again.deployments() == [known]
    assert again.deployment(MODEL) == known
    assert again.version(MODEL, "1.1.0") == version
    assert (again.deployment("nobody"), again.version(MODEL, "9.9.9")) == (None, None)
    again.close()


def classes(artifact: Path) -> list[str]:
    return estimators.load(artifact).classes_.tolist()


def test_bytes_from_s3_are_kept_verified_for_when_it_is_away(
    s3: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", storage_url=f"s3://{s3}/models")
    stores = Stores(settings, actor="test")
    version = Models(stores, light_artifacts(tmp_path)).champion(MODEL)
    stores.registry.close()
    host, port = s3_server.removeprefix("http://").split(":")
    with Proxy((host, int(port))) as proxy:
        for variable, value in weed.environment(proxy.url).items():
            monkeypatch.setenv(variable, value)
        artifacts = Artifacts(settings)
        assert classes(artifacts.fetch(version, tmp_path / "first")) == ["on_time", "late"]
        proxy.answer(503)
        assert classes(artifacts.fetch(version, tmp_path / "second")) == ["on_time", "late"]
        (copy,) = [path for path in (settings.home / "copies").rglob("*") if path.is_file()]
        copy.chmod(0o644)
        copy.write_bytes(b"something else")
        with pytest.raises(StorageError):
            artifacts.fetch(version, tmp_path / "third")
        proxy.heal()
        assert classes(artifacts.fetch(version, tmp_path / "fourth")) == ["on_time", "late"]
        artifacts.forget(version)
        assert not copy.exists()
