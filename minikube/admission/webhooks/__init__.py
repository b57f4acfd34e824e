"""Admission by webhooks: which see a request, what they are asked, what their answers do."""
