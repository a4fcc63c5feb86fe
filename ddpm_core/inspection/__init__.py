"""Looking inside a model: what the tab of that name shows, as functions that a notebook can call.

Each module answers one question about a picture (`subject.Subject`) and a `LatentDiffusion`; its request says what may
be asked, a dataclass holds the answer.
"""
