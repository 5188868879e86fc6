"""The doctor: looks at every part side by side, and says of each what was seen and what to do.

An *examination* is a generator of *findings*; each finding is ``ok``, ``warning`` or ``failed``.
"""
