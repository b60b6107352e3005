import pytest

from cloudseg_ops.config.receivers import Receiver, checked_webhook


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "webhook", "https://hooks.slack.com/services/T0/B0/x"),
        ("http://127.0.0.1:8080/hook", "webhook", "http://127.0.0.1:8080/hook"),
        ("conn:my_webhook", "connection", "my_webhook"),
        ("team.alerts:page", "function", "team.alerts:page"),
    ],
)
def test_receiver_kinds(text: str, kind: str, value: str) -> None:
    receiver = Receiver.parse(text)
    assert (receiver.kind, receiver.value) == (kind, value)
    assert value not in repr(receiver)


@pytest.mark.parametrize(
    "text",
    ["", "hooks.slack.com/services/secret", "http://hooks.example/secret", "ftp://a/secret", "conn:", "conn:a secret",
     "https://", "https://[secret", "a.b.secret", "a b:secret", "1a:secret", "https:///secret"],
)  # fmt: skip
def test_invalid_receiver_is_rejected_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="https:// address") as raised:
        Receiver.parse(text)
    assert "secret" not in str(raised.value)


def test_unencrypted_webhook_is_rejected_except_on_localhost() -> None:
    assert checked_webhook("http://localhost:1/x") == "http://localhost:1/x"
    with pytest.raises(ValueError, match="https://"):
        checked_webhook("http://10.0.0.1/x")
