"""What is heard: samples of any sound, how loud they are, what one loudspeaker makes of channels."""
