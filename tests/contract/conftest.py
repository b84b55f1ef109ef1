"""Each carrier's protocol in turn."""

import pytest


@pytest.fixture(params=["smpp", "cmpp2", "cmpp3"])
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)
