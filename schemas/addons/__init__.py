"""The API half of each add-on: fields, what it requires, where it is supported, what it refuses.

`ADD_ONS` maps the wire key to its schema; `controller.addons` holds the other half under the same keys.
"""
