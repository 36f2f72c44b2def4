"""Masking: known values (the guarantee) and detectors (the net) over decoded text, however a stream is cut.

The room's door; the reasons of Unmaskable are one line without content:

    masker = Masker(known_values, spec)            # compiled parts are kept per set of values and choice of detectors;
                                                   # ValueError for an unknown detector or a wrong JSON pointer
    masker.active                                  # False: nothing to mask, bytes may pass untouched
    masked = masker.text(value, key=key, place="header:location")   # one block -> Masked(data, counts)
    body = masker.body(content_type, content_encoding, key=key)     # raises Unmaskable
    out = body.feed(chunk); out += body.finish()   # both raise Unmaskable; body.counts: {kind: stretches}
    masked = masker.whole(content_type, content_encoding, data, key=key)   # the same for a body that is all there;
                                                   # cheap, and the same object, where nothing is found
    detector_ids()                                 # what a policy may name, beside the families of detectors
"""

from penstock._core.mask.detectors import detector_ids
from penstock._core.mask.masker import BodyMask, Masker
from penstock._core.mask.outcome import Masked, Unmaskable

__all__ = ["BodyMask", "Masked", "Masker", "Unmaskable", "detector_ids"]
