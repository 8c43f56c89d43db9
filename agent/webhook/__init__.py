"""The agent's admission webhooks: one HTTPS server, a handler for each path.

`server` speaks HTTP and AdmissionReview, `certificates` keeps the serving certificate and `caBundle`; the handlers
(`labelled_secrets`, `pull_secrets_of_pods`, `pod_identity`) are functions from a review to an answer.
"""
