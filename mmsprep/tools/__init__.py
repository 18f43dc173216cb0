"""The edges: other programs, temporary files and probes. Only this package starts a process."""
