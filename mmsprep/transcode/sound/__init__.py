"""Recordings, and the sound of clips: decoded once to PCM, then a rung of the profile's ladder."""
