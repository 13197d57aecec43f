"""A finished job as one page."""
