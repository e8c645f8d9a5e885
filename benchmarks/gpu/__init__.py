"""The first minutes on a GPU: ``python -m benchmarks.gpu`` runs the bundles' configs within a budget of seconds."""
