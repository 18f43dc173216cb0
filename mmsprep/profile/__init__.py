"""What a network or a handset class accepts, read from a TOML file.

Comes in: a profile's name or the path of a TOML file. Goes out: a frozen, checked :class:`Profile`; what is known of a
country's networks. Never: a decision about a file (``classify.py`` decides).
"""

from mmsprep.profile.networks import SOURCES, Suggestion, suggestions
from mmsprep.profile.reading import (
    DEFAULT_PROFILE,
    load_profile,
    network_names,
    profile_folder,
    profile_names,
    variant_of,
)
from mmsprep.profile.rules import (
    AudioRules,
    AudioStep,
    ImageRules,
    MessageRules,
    Profile,
    Row,
    TextRules,
    Use,
    Variants,
    VideoRules,
)

__all__ = [
    "DEFAULT_PROFILE",
    "SOURCES",
    "AudioRules",
    "AudioStep",
    "ImageRules",
    "MessageRules",
    "Profile",
    "Row",
    "Suggestion",
    "TextRules",
    "Use",
    "Variants",
    "VideoRules",
    "load_profile",
    "network_names",
    "profile_folder",
    "profile_names",
    "suggestions",
    "variant_of",
]
