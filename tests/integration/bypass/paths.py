"""Item 2 and the table's rows about paths: other spellings of a path that is denied."""

from integration.bypass.case import Case, request

__all__ = ["CASES"]

DENIED = ("403 policy_denied",)
AMBIGUOUS = ("400 ambiguous_path",)
BAD = ("400 bad_request",)


def judged(target: str | bytes, path: str = "/admin/x", *, row: str = "table") -> Case:
    """Returns a spelling of a denied path: it is judged as that path, and denied."""
    return Case(row, f"judged {_name(target)}", request(target), DENIED, (path,))


def refused(target: str | bytes, answers: tuple[str, ...] = AMBIGUOUS, *, row: str = "table") -> Case:
    """Returns a spelling that upstreams read in different ways: it is refused unjudged."""
    return Case(row, f"refused {_name(target)}", request(target), answers, ())


def passed(target: str | bytes, path: str, *, row: str = "2", upper: bool = False) -> Case:
    """Returns a target that looks like the denied path and is another one: it arrives as it was judged."""
    return Case(row, f"passed {_name(target)}", request(target), ("200",), (path,), upper=upper)


def _name(target: str | bytes) -> str:
    return repr(target.encode("latin-1") if isinstance(target, str) else target)[2:-1][:60]


CASES = [
    # The rows of the table, with all the spellings that it names.
    judged("/b//admin/x"),
    judged("/b/ok/../admin/x"),
    judged("/b/./admin/x"),
    judged("/b/ok/%2e%2e/admin/x"),
    judged("/b/%61dmin/x"),
    refused("/b/ok\\..\\admin/x"),
    refused("/b/ok/..;/admin/x"),
    refused("/b/ok%2f..%2fadmin/x"),
    refused("/b/ok%5c..%5cadmin/x"),
    refused("/b/ok%00/../admin"),
    refused("/b/%2561dmin/x"),
    refused("/b/%c0%ae%c0%ae/admin"),
    passed("/b/ADMIN/x", "/ADMIN/x", row="table", upper=True),
    refused("/b/x#/admin", ("400 ambiguous_path",)),
    refused("/b/admin#fragment", ("400 ambiguous_path",)),
    # More of the same kinds.
    judged("/b///admin//x", row="2"),
    judged("//b/admin/x", row="2"),
    judged("/b/admin//x", row="2"),
    judged("/b/admin/./x", row="2"),
    judged("/b/admin/y/../x", row="2"),
    judged("/b/a/b/../../admin/x", row="2"),
    judged("/b/%2e/admin/x", row="2"),
    judged("/b/ok/.%2e/admin/x", row="2"),
    judged("/b/ok/%2E./admin/x", row="2"),
    judged("/b/ok/%2E%2E/admin/x", row="2"),
    judged("/b/%61%64%6d%69%6e/x", row="2"),
    judged("/b/adm%69n/x", row="2"),
    judged("/%62/admin/x", row="2"),
    judged("/x/../b/admin/x", row="2"),
    judged("/b/admin", "/admin", row="2"),
    judged("/b/admin/", "/admin/", row="2"),
    judged("/b/admin?x=/ok", "/admin", row="2"),
    judged("/b/admin?/../ok", "/admin", row="2"),
    judged("/b/admin/q/../y", "/admin/y", row="2"),
    judged("/b/x/y/../../admin/%7Eroot", "/admin/~root", row="2"),
    judged("/b/v1/things:delete", "/v1/things:delete", row="2"),
    judged("/b/v1/things%3adelete", "/v1/things:delete", row="2"),
    judged("/b/v1/things%3A%64elete", "/v1/things:delete", row="2"),
    judged("/b/v1/%40me/x", "/v1/@me/x", row="2"),
    judged("/b/v1/x%281%29", "/v1/x(1)", row="2"),
    refused("/b/admin%2fx", row="2"),
    refused("/b/admin%2Fx", row="2"),
    refused("/b/%2fadmin/x", row="2"),
    refused("/b%2fadmin%2fx", row="2"),
    refused("/b/admin%5cx", row="2"),
    refused("/b/admin%00", row="2"),
    refused("/b/admin%00.html", row="2"),
    refused("/b/ok/..%2fadmin/x", row="2"),
    refused("/b/ok/..%5cadmin/x", row="2"),
    refused("/b/ok/..\\admin/x", row="2"),
    refused("/b\\admin\\x", row="2"),
    refused("/b/ok/..;a=b/admin/x", row="2"),
    refused("/b/ok/.;/admin/x", row="2"),
    refused("/b/ok/%2e%2e;/admin/x", row="2"),
    refused("/b/ok/..%3b/admin/x", row="2"),
    refused("/b/ok/..%3B/admin/x", row="2"),
    refused("/b/%25%36%31dmin/x", row="2"),
    refused("/b/%252e%252e/admin/x", row="2"),
    refused("/b/ok/%25%32%65%25%32%65/admin/x", row="2"),
    refused("/b/ok%252f..%252fadmin/x", row="2"),
    refused("/b/%c1%81dmin/x", row="2"),
    refused("/b/%e0%80%ae%e0%80%ae/admin/x", row="2"),
    refused("/b/%f0%80%80%ae/admin/x", row="2"),
    refused("/b/%ed%a0%80/x", row="2"),
    refused("/b/%ff/x", row="2"),
    refused("/b/%/admin/x", row="2"),
    refused("/b/%2/admin/x", row="2"),
    refused("/b/%zz/admin/x", row="2"),
    refused("/b/%u0061dmin/x", row="2"),
    refused("/b/%0a/admin/x", row="2"),
    refused("/b/x%0d%0aHost:%20evil", row="2"),
    refused("/b/%7f/admin/x", row="2"),
    refused("/b/admin%09/x", row="2"),
    refused("/../b/admin/x", row="2"),
    refused("/b/../../b/admin/x", row="2"),
    refused("/b/..", ("404 upstream_unknown",), row="2"),
    refused("/b/../other/x", ("404 upstream_unknown",), row="2"),
    refused("/B/admin/x", ("404 upstream_unknown",), row="2"),
    refused("/b;/admin/x", row="2"),
    refused("/b/admin;/x", row="2"),
    refused("/b/admin;a=b/x", row="2"),
    refused("/b/;/admin/x", row="2"),
    refused("/bx/admin/x", ("404 upstream_unknown",), row="2"),
    refused("/", ("404 upstream_unknown",), row="2"),
    refused("b/admin/x", BAD, row="2"),
    refused("*", row="2"),
    refused("?/b/admin/x", BAD, row="2"),
    refused(b"/b/\xc3\xa4/../admin/x\xff", BAD, row="2"),
    refused('/b/x?a="\x01"', BAD, row="2"),
    # Looks alike, and is another path to everybody: judged as what it is, and forwarded so.
    passed("/b/administrator/x", "/administrator/x"),
    passed("/b/admin.html", "/admin.html"),
    passed("/b/x/admin", "/x/admin"),
    passed("/b/x?next=/admin/x", "/x"),
    passed("/b/x?a=%2561&b=%00&c=..%2f", "/x"),
    passed("/b/Admin/x", "/Admin/x", upper=True),
    passed("/b/%41dmin/x", "/Admin/x", upper=True),
    passed("/b/%c4%b1/x", "/%C4%B1/x"),
    passed("/b/%ef%bd%81dmin/x", "/%EF%BD%81dmin/x"),
    passed("/b/...//admin", "/.../admin"),
    passed("/b/a%20b/./c%2a", "/a%20b/c%2A"),
    passed("/b/a+b/~%7E", "/a+b/~~"),
    passed("/b/a%3bb=c/d", "/a%3Bb=c/d"),
    passed("/b/ok/../../b/ok", "/ok"),
    passed("/b", "/"),
    passed("/b/", "/"),
    passed("/b/x/..", "/"),
]
