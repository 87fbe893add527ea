from __future__ import annotations

import pytest

from providers.base import ErrorCategory, Limits, ProviderError, TextMessage
from providers.sms.vonage import Vonage
from tests.providers.raw_answers import RawServer, answering, json_response


@pytest.mark.parametrize(
    ("status", "code", "category", "of_provider"),
    [
        (401, "1060", ErrorCategory.AUTHENTICATION, False),
        (402, "1070", ErrorCategory.BUDGET, False),
        (422, "1120", ErrorCategory.INVALID_REQUEST, True),
        (422, "1140", ErrorCategory.INVALID_REQUEST, True),
        (422, "1250", ErrorCategory.INVALID_REQUEST, False),
    ],
)
def test_a_refusal_says_whose_affair_it_is(
    raw_server: RawServer, status: int, code: str, category: ErrorCategory, of_provider: bool
) -> None:
    problem = {"type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": "No"}
    url = raw_server(answering(json_response(problem, status)))
    vonage = Vonage(alias="vonage", base_url=url, key="secret", limits=Limits(), account="key", sender="+12025550100")
    with pytest.raises(ProviderError) as caught:
        vonage.send(TextMessage(to="+14155552671", body="Hi", reference="attempt-1", timeout_seconds=5))
    error = caught.value
    assert (error.code, error.category, error.permanent, error.surely_not_sent) == (code, category, True, True)
    assert error.of_provider is of_provider
