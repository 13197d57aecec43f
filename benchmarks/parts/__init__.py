"""What `density.py` is made of: what is trained and how, and what its figures are compared with."""
