"""The engine as a process: command line, logging and stopping."""
