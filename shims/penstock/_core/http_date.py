"""Writes the time as HTTP does (RFC 9110, section 5.6.7)."""

from email.utils import formatdate
from functools import lru_cache

__all__ = ["http_date"]


@lru_cache(8)
def http_date(seconds: int) -> str:
    """Returns the value of Date for so many UTC seconds since 1970."""
    return formatdate(seconds, usegmt=True)
