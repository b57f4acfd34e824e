"""What holds for all tests: hypothesis does not judge how long an example takes, for the machine may be busy."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
