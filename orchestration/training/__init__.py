"""Models trained on the cluster, by recipes, from tables."""
