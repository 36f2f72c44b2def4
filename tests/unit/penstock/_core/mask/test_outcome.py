"""What masking gives, and that neither result nor error shows content."""

import pytest

from penstock._core.mask.outcome import NOTHING_MASKED, Masked, Unmaskable


def test_an_error_tells_its_reason_and_is_a_value_error() -> None:
    """The reason is one line; it is what str() shows, too."""
    with pytest.raises(ValueError, match=r"\Atoo long\Z") as raised:
        raise Unmaskable("too long")
    assert isinstance(raised.value, Unmaskable)
    assert raised.value.reason == "too long"


def test_masked_content_is_not_shown() -> None:
    """It may still hold what the other side is to see only: repr() has the counts alone."""
    shown = repr(Masked(b"the content", {"jwt": 2}))
    assert "content" not in shown
    assert "jwt" in shown


def test_nothing_masked_is_empty() -> None:
    """The shared mapping of results without a find has no kinds."""
    assert NOTHING_MASKED == {}
