"""A budget of main memory, and the allocator and collector behind it."""
