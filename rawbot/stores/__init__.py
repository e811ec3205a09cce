"""State that outlives a call, a connection or a process: where the bytes are.

Layer 3. Stores know no platform; what they are asked is written down by those who ask.
"""
