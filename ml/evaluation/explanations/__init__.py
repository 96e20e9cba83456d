"""The part of a report that says how true a model's explanations are.

`material` says which clips are explained, `contenders` by what, `examining` does it clip by clip, `measures`
makes figures of what it found, and `section` a part of the report. Methods are scored against the stems of
the clips (`ml.truth.scores`, `ml.truth.shapley`) and against the network (`ml.truth.faithfulness`), on the
same maps.
"""
