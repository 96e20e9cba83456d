"""Signatures, as the specification's own library and its example see them."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.webhooks.signature import secrets_of, signed_headers
from tests.unit.service.webhooks.receiving import SECRET

OTHER = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXIt"


def test_the_example_of_the_specification() -> None:
    headers = signed_headers(
        secrets_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_either_of_two_secrets_will_do() -> None:
    body = '{"wörd": 1}'.encode()
    headers = dict(signed_headers(secrets_of(f"{SECRET} {OTHER}"), "msg_1", int(time.time()), body))
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers) == {"wörd": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "AAAA" * 10).verify(body, headers)
