"""What tests of agencies with an API share."""

from __future__ import annotations

import pytest
import responses


@pytest.fixture
def net():
    """The network: what is not laid down here is not reached."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked
