"""Labelled secrets: objects of the users' own that are filled with the add-on's credentials and kept fresh.

`content` says what one should hold, for the admission webhook (`agent.webhook.labelled_secrets`) and for the leader's
watch (`duty`) alike.
"""
