"""For tests of programs that send MMS: a pytest fixture with a gateway that is not one.

>>> def test_an_order_is_told(mms_gateway):  # doctest: +SKIP
...     my_shop.tell(order)
...     assert mms_gateway.texts == ["Your order is on its way"]

pytest finds it by itself where mmsprep is installed with its extra ``sandbox``. While a test has the fixture, every
send of mmsprep in this process and its children goes to that gateway; other clients take its ``form_url`` or
``mm7_url``, user and password ``sandbox``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mmsprep.sandbox import Sandbox

__all__ = ["mms_gateway"]

_USER = "sandbox"


@pytest.fixture(scope="session")
def _mms_sandbox() -> Iterator[Sandbox]:
    """One for all tests: it is started when the first of them asks."""
    from mmsprep.sandbox import Sandbox

    with Sandbox(username=_USER, password=_USER) as running:
        yield running


@pytest.fixture
def mms_gateway(_mms_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A running :class:`mmsprep.sandbox.Sandbox` that has seen nothing yet; ``mmsprep.send`` sends to it."""
    _mms_sandbox.clear()
    monkeypatch.setenv("SMSGLOBAL_USERNAME", _USER)
    monkeypatch.setenv("SMSGLOBAL_PASSWORD", _USER)
    monkeypatch.setenv("SMSGLOBAL_URL", _mms_sandbox.url)
    monkeypatch.delenv("SMSGLOBAL_PROXY", raising=False)
    yield _mms_sandbox
    _mms_sandbox.clear()
