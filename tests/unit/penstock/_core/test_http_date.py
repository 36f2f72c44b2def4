"""Times as HTTP writes them."""

from penstock._core.http_date import http_date


def test_a_time_is_written_as_the_standard_does() -> None:
    """RFC 9110's own example, in GMT whatever the machine's zone is."""
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
