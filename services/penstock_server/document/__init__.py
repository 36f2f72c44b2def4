"""The policy document: YAML that people write, read into domain values, compared, and written into SQL rows."""

from penstock_server.document._definition import diff, rule_rows
from penstock_server.document._lint import conceals_absence
from penstock_server.document._parse import ParsedPolicy, parse

__all__ = ["ParsedPolicy", "conceals_absence", "diff", "parse", "rule_rows"]
