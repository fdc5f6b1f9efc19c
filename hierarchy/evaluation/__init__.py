"""Evaluation at equal budgets: sets, systems, runs, figures.

`sets` reads questions with gold evidence. Systems are listed in `systems`: `baselines` are flat, `dense` ranks by
meaning, `trees` reads as other tree systems do, `oracle` knows the gold, `ours` is the library. `runner` lets them
predict and `timings` keeps what it cost; `metrics` judges a case, `answers` an answer, `figures` a set. `report` lays
out tables, `curves` draws, `findings` writes it all down. `cost` measures this machine. Nothing here prints.
"""
