"""Which carrier's account messages go through: what the settings say, and what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from duewise.app import App, new_workspace, open_app
from duewise.errors import BadInput


def workspace(folder: Path, **changes: object) -> App:
    new_workspace(folder)
    app = open_app(folder)
    return replace(app, config=app.config.model_copy(update=changes))


def test_it_sends_by_smpp_unless_told_otherwise(tmp_path: Path) -> None:
    app = workspace(tmp_path / "workspace")
    assert app.channel().name == "smpp"
    assert app.channel().capabilities.echoes_reference
    assert app.delivery.resend_unknown_after_s == 600


def test_it_sends_by_cmpp_where_the_settings_say_so(tmp_path: Path) -> None:
    app = workspace(tmp_path / "workspace", carrier="cmpp")
    (app.workspace / "secrets" / "cmpp").write_text("secret\n")
    assert app.channel().name == "cmpp"
    assert not app.channel().capabilities.echoes_reference
    assert app.tenant.sender_id == app.config.cmpp.sender_id


def test_it_never_sends_a_doubt_again_over_a_carrier_that_carries_no_reference(
    tmp_path: Path,
) -> None:
    app = workspace(tmp_path / "workspace", carrier="cmpp")
    assert app.config.smpp.resend_unknown_after_s == 600
    assert app.delivery.resend_unknown_after_s is None


def test_it_says_where_the_secret_belongs(tmp_path: Path) -> None:
    app = workspace(tmp_path / "workspace", carrier="cmpp")
    with pytest.raises(BadInput, match="no password for the CMPP account") as refused:
        app.channel()
    assert "set DUEWISE_CMPP__PASSWORD" in str(refused.value)
    assert "secrets/cmpp" in str(refused.value)
