"""The gRPC edge: servicers (convert, one operation, convert), conversion, status mapping, authentication."""
