"""The console: pages for people, over the REST API. `app` makes it; `cli` puts it beside the API."""
