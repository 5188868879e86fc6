"""Releases: which versions of a product there are, and since when.

A *release* is a fact about a version: drafted, *published* at a moment, perhaps *yanked*. It holds no
files. Licences are checked against it, since a licence that has expired may still run what was
published before.
"""
