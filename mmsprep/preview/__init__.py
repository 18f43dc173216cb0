"""What was done to each file, to look at and listen to: before and after on one page."""

from mmsprep.preview.messages import messages_page
from mmsprep.preview.page import POLICY, preview_page
from mmsprep.preview.pairs import Pair, Side, pair_of, pair_unseen, worst_first

__all__ = ["POLICY", "Pair", "Side", "messages_page", "pair_of", "pair_unseen", "preview_page", "worst_first"]
