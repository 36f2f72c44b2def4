"""Path templates: what they match, what they capture, and what is refused when the policy is written."""

import pytest

from penstock_server.domain.paths import MAX_TEMPLATE_CHARACTERS, compile_path


def match(template: str, path: str) -> dict[str, str] | None:
    """Returns what the template captures of the path."""
    return compile_path(template).match(path.split("/")[1:])


@pytest.mark.parametrize(
    ("template", "path", "captured"),
    [
        ("/", "/", {}),
        ("/v1/refunds", "/v1/refunds", {}),
        ("/v1/refunds/", "/v1/refunds/", {}),
        ("/v1/refunds/{id}", "/v1/refunds/r1", {"id": "r1"}),
        ("/v1/{kind}/{id}", "/v1/refunds/a%2Bb", {"kind": "refunds", "id": "a%2Bb"}),
        ("/v1/*/x", "/v1/anything/x", {}),
        ("/v1/**", "/v1", {}),
        ("/v1/**", "/v1/", {}),
        ("/v1/**", "/v1/a/b/c", {}),
        ("/**", "/", {}),
        ("/**", "/a/b", {}),
        ("/{tenant}/**", "/t1/a/b", {"tenant": "t1"}),
        ("/caf%C3%A9", "/caf%C3%A9", {}),
    ],
)
def test_a_path_that_fits_gives_its_captured_segments(template: str, path: str, captured: dict[str, str]) -> None:
    """A template matches segment by segment and captures named segments as they are written."""
    assert match(template, path) == captured


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/refunds", "/v1/refunds/"),
        ("/v1/refunds", "/v1/Refunds"),
        ("/v1/refunds/{id}", "/v1/refunds"),
        ("/v1/refunds/{id}", "/v1/refunds/"),
        ("/v1/refunds/{id}", "/v1/refunds/a/b"),
        ("/v1/*", "/v1/"),
        ("/v1/**", "/v2/a"),
        ("/v1/**", "/v1x"),
        ("/{tenant}/**", "/"),
        ("/", "/a"),
    ],
)
def test_a_path_that_does_not_fit_gives_none(template: str, path: str) -> None:
    """No prefix, case folding, empty segment or other depth ever fits."""
    assert match(template, path) is None


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("", 'must start with "/"'),
        ("v1", 'must start with "/"'),
        ("/a//b", "empty segment"),
        ("/a/../b", "never occurs"),
        ("/./a", "never occurs"),
        ("/**/a", "last segment"),
        ("/a/x*", "whole segment"),
        ("/a/{id}.json", "whole segment"),
        ("/a/{id", "whole segment"),
        ("/a/{1d}", "whole segment"),
        ("/{id}/{id}", "twice"),
        ("/a b", "percent-encode"),
        ("/é", "percent-encode"),
        ("/%c3", "upper-case"),
        ("/%41", "never occurs"),
        ("/%2F", "never occurs"),
        ("/a?b", "percent-encode"),
        ("/" + "a" * MAX_TEMPLATE_CHARACTERS, "at most"),
    ],
)
def test_a_malformed_template_is_refused(template: str, complaint: str) -> None:
    """What could never match a canonical path is an error when it is written, not a rule that silently never fits."""
    with pytest.raises(ValueError, match=complaint):
        compile_path(template)
