"""Mutated files and mutated replies through everything of mmsprep that reads what strangers made."""
