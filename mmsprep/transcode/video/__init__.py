"""Clips: decoded once to a mezzanine, then encoded in two passes at the size and rate that the bytes carry."""
