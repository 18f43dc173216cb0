"""What is seen: how far a picture, or a clip, is from being one colour."""
