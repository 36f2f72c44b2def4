"""Who calls: the development issuer, and the verification of tokens; further issuers come behind the same port."""

from penstock_server.identity.dev_issuer import DEV_ISSUER, DevIssuer
from penstock_server.identity.verifier import Verifier

__all__ = ["DEV_ISSUER", "DevIssuer", "Verifier"]
