"""Accounts at providers: found by name, checked, and their secrets kept out of the settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from duewise.app import App, new_workspace, open_app
from duewise.errors import BadInput

TWILIO = """
[accounts.main]
provider = "twilio"
account_sid = "AC1"
sender_id = "+8610690001"
rate_per_s = 20
"""


def app_of(folder: Path, accounts: str, *, carrier: str = "main") -> App:
    new_workspace(folder)
    path = folder / "duewise.toml"
    path.write_text(path.read_text(encoding="utf-8") + accounts, encoding="utf-8")
    app = open_app(folder)
    return replace(app, config=app.config.model_copy(update={"carrier": carrier}))


def test_it_sends_texts_by_the_account_that_the_settings_name(tmp_path: Path) -> None:
    app = app_of(tmp_path / "w", TWILIO)
    (app.workspace / "secrets" / "main.auth_token").write_text("invented\n", encoding="utf-8")
    (line,) = app.lines
    assert (line.channel.name, line.channel.capabilities.carries) == ("main", "sms")
    assert (line.settings.rate_per_s, line.settings.resend_unknown_after_s) == (20, None)
    assert app.routes == ("main",)
    assert app.tenant.sender_id == "+8610690001"


def test_it_plans_by_the_account_that_can_least(tmp_path: Path) -> None:
    aliyun = '[accounts.spare]\nprovider = "aliyun"\n[routes]\nsms = ["spare"]\n'
    assert app_of(tmp_path / "one", TWILIO).tenant.lender.holds_validity == ("sms",)
    assert app_of(tmp_path / "two", TWILIO + aliyun).tenant.lender.holds_validity == ()


def test_it_takes_a_secret_from_its_variable_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUEWISE_ACCOUNTS__MAIN__AUTH_TOKEN", "12e3")
    app = app_of(tmp_path / "w", TWILIO)
    token = app.channel()._vendor._token  # type: ignore[attr-defined]
    assert token == "12e3"


REFUSED = {
    "no auth_token for the account 'main'": TWILIO,
    "the secret 'auth_token' stands in the settings": TWILIO + 'auth_token = "invented"\n',
    "no provider 'pigeon'": TWILIO.replace('"twilio"', '"pigeon"'),
    "no provider ''": TWILIO.replace('provider = "twilio"', ""),
    "twilio knows no setting 'colour'": TWILIO + 'colour = "red"\n',
    "no account 'other'": TWILIO.replace(".main", ".another"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_it_says_what_is_wrong_with_an_account_and_where(tmp_path: Path, why: str) -> None:
    app = app_of(tmp_path / "w", REFUSED[why], carrier="other" if "other" in why else "main")
    with pytest.raises(BadInput) as refused:
        app.channel()
    assert why in str(refused.value)
    assert "Mend: " in str(refused.value)


def test_it_says_what_is_wrong_with_one_of_the_providers_settings(tmp_path: Path) -> None:
    app = app_of(tmp_path / "w", TWILIO + 'timeout_s = "soon"\n')
    (app.workspace / "secrets" / "main.auth_token").write_text("invented", encoding="utf-8")
    with pytest.raises(BadInput, match=r"accounts\.main: setting 'timeout_s'"):
        app.channel()


def test_it_refuses_an_account_for_a_kind_that_it_does_not_carry(tmp_path: Path) -> None:
    app = app_of(tmp_path / "w", TWILIO + '[routes]\npush = "main"\n')
    (app.workspace / "secrets" / "main.auth_token").write_text("invented", encoding="utf-8")
    with pytest.raises(BadInput, match="carries sms, not push"):
        _ = app.lines


def test_it_names_the_settings_line_of_an_account_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"duewise.toml:\d+: setting 'accounts.main.rate_per_s'"):
        app_of(tmp_path / "w", TWILIO.replace("= 20", "= -1"))
    with pytest.raises(BadInput, match="small letters"):
        app_of(tmp_path / "v", TWILIO.replace(".main", '."Main 1"'))
