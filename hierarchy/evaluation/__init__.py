"""Evaluation at equal budgets: sets, systems, runs, figures.

`sets` reads questions with gold evidence; `baselines` and `ours` are the systems, listed in `systems`; `runner` lets
them predict; `metrics` judges a case and `figures` a set; `report` lays the figures out. Nothing here prints.
"""
