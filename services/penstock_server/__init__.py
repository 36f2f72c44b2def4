"""The Penstock policy service: rules, approvals, secrets and the audit log behind gRPC."""

__version__ = "0.1.0"
