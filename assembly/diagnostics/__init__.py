"""Does no sub-model dominate, are they diverse, how linear is the network, and does a measurement agree?"""
