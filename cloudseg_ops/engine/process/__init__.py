"""The engine as a process: its command line, its log, how it stops."""
