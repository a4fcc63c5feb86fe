"""Looking inside a model: each module answers one question about a picture, by a request and a dataclass."""
