"""The REST API: HTTP in, HTTP out over the commands of `fleet`. `problems` is its one error exit."""
