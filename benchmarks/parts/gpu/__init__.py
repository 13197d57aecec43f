"""What `gpu.py` is made of; it needs neither Ray nor Redis."""
