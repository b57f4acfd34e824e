"""Who asks (authenticators: credentials -> user) and may he (authorizers: user, action -> decision). No HTTP."""
