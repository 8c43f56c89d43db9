"""AWS as Pullpass needs it: names and rules without I/O, and the walk from a web identity token to an image."""
