"""What is seen: how far a picture, or a clip, is from being one colour, and what playing to the end tells."""
