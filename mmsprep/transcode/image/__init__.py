"""Pictures: decoded once to clean pixels, then JPEG, GIF, BMP or WBMP of any size."""
