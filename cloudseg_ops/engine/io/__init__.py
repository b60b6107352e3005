"""The work on one image but for the network: in threads of this process and in helper processes."""
