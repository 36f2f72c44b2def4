"""Masking: known values (the guarantee) and detectors (the net) over decoded text, however a stream is cut.

The room's door (built by masker.py; see shared vocabulary in _core.verdict.MaskSpec):

    masker = Masker(known_values, spec)            # compiled once per (upstream, spec), share within one thread
    masker.active                                  # False: nothing to mask, bytes may pass untouched
    masked = masker.text(value, key=key, place="header:location")   # one block -> Masked(data, counts)
    body = masker.body(content_type, content_encoding, key=key)     # raises Unmaskable
    out = body.feed(chunk); out += body.finish()   # finish also raises Unmaskable; body.counts: {kind: spans}
"""
