"""Indices that earlier versions made, served and changed by this one."""
