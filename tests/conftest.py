"""Settings that hold for every test."""

from hypothesis import settings

# A busy machine is no fault of the code; examples are the same in every run.
settings.register_profile("fhiradapter", deadline=None, derandomize=True)
settings.load_profile("fhiradapter")
