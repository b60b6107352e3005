"""Downloads, decodes, encodes and uploads images, in threads of this process and in helper processes."""
