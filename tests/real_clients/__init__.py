"""Other people's clients against the stand-in deployment, installed from their registries when the tests run."""
