"""OneBot 11, the second face of a OneBot 12 implementation: the same bot and the same handlers, in the older words.

Events are told and actions taken as OneBot 11 has them; between the two stand a table of ids (11 has integers, 12
strings), CQ codes and a translation of each action. The connections are OneBot 12's, given other words to say.
"""
