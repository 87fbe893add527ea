"""Workers and dispatchers notice a key that staff entered elsewhere, and call with it, without a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batches.dispatching.dispatcher import Dispatcher
from batches.models import ProviderCredential
from batches.operations import Attempt
from batches.outcomes import Outcome, Succeeded
from batches.provider_accounts import credentials
from batches.running import context
from batches.running.engine import Engine
from providers.keys import key_of, replace_entered
from tests.engine.conftest import until
from tests.engine.ledger import new_batch
from tests.engine.scripted import REPEATABLE, Script
from tests.engine.worker import finish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def entered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key in the database that this process has not seen."""
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 60.0)
    credentials.store(REPEATABLE, "sk-entered-elsewhere", actor_id=None)
    replace_entered({})
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.0)
    yield
    replace_entered({})


def test_a_worker_calls_with_it(engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "FRESH_SECONDS", 0.0)
    sandboxed: list[bool] = []

    def act(attempt: Attempt) -> Outcome:
        sandboxed.append(attempt.provider.uses_sandbox)
        return Succeeded({})

    scripted.act = act
    until(lambda: key_of(REPEATABLE) is not None)
    finish(engine, new_batch(1))
    ProviderCredential.objects.all().delete()
    until(lambda: key_of(REPEATABLE) is None)
    finish(engine, new_batch(1))
    assert sandboxed == [False, True]


def test_the_dispatcher_knows_of_it(running: Dispatcher) -> None:
    assert key_of(REPEATABLE) is None
    running.tick()
    assert key_of(REPEATABLE) is not None
